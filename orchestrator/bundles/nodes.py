"""Nodes: where the parts of a YAML tree stand, and what they are."""

import re

import yaml

Path = tuple[str, ...]
"""The keys from the file down to a value; of lists their numbers, from 1."""
_RESOLVED = "tag:yaml.org,2002:"
_FORMS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "merge", "value", "seq", "map"})
"""What YAML takes a value for that says nothing of it by itself."""
_QUOTED = re.compile(r"'([^']+)'")


def form_of(node: yaml.Node) -> str:
    """What a node is: `dict`, `list` or `scalar`."""
    if isinstance(node, yaml.MappingNode):
        return "dict"
    return "list" if isinstance(node, yaml.SequenceNode) else "scalar"


def tagged(node: yaml.Node) -> bool:
    """Whether a node begins with a tag: a program's, or one was to begin with `!`, and its first word is lost."""
    return node.tag.removeprefix(_RESOLVED) not in _FORMS


def is_bare(node: yaml.Node) -> bool:
    """Whether it is one value without quotes: what stands in them is meant so."""
    return isinstance(node, yaml.ScalarNode) and node.style is None


def line_of(node: yaml.Node) -> int:
    """Where it begins; the first line is 1."""
    return int(node.start_mark.line) + 1


def line_said(node: yaml.Node, words: str) -> int:
    """Of words on a whole struct: the line of what they quote, below the key that they begin with; else of that key.
    Where they begin otherwise, the struct's."""
    first = words.split(maxsplit=1)[0].rstrip(":") if words else ""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for key, value in pairs:
        if key.value == first:
            quoted = _QUOTED.search(words)
            return (_scalar_line(value, quoted[1]) if quoted else 0) or line_of(key)
    return line_of(node)


def _scalar_line(node: yaml.Node, text: str) -> int:
    """The first line below where a key or value is that text; 0 where none is."""
    if isinstance(node, yaml.ScalarNode):
        return line_of(node) if node.value == text else 0
    held = [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return next((line for each in held if (line := _scalar_line(each, text))), 0)
