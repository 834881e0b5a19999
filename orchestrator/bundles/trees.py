"""Trees: what YAML's parser makes of a text, within the bounds of a file that people write.

The parser has none of its own. With each sign it looks at all the brackets that are open, and it reads a text of half a
megabyte to its end before anybody can say that it names too many values.
"""

from functools import lru_cache
from typing import Any

import yaml

from actors.own_streams.applying import BUNDLE_BYTES_MAX
from protocol.errors import ThroughlineError

TREES_KEPT = 16
"""Of texts read last: of a bundle's new version all files but one or two are as they were, and to parse one takes
longer than all else that is done with it."""
KEPT_TEXT_MAX = 16_384
"""Characters of a text whose tree is among them: a longer one's would take megabytes."""
NODES_MAX = 50_000
"""Values in one file, aliases counted as often as they stand: a text of a few lines can name millions."""
DEEP_MAX = 32
"""Lists and keys within each other. No rule has a third of it."""


class OutOfBounds(ThroughlineError):
    """More than a file may have: in which line, from 1, and what to write instead."""

    def __init__(self, mark: yaml.Mark, words: str) -> None:
        super().__init__(words)
        self.line = int(mark.line) + 1


def tree_of(text: str) -> yaml.Node | None:
    """The tree that a text says; None for an empty one. Nobody changes it: it may be kept. Raises what YAML's parser
    raises, and `OutOfBounds`."""
    return _kept(text) if len(text) <= KEPT_TEXT_MAX else _read(text)


def too_much(node: yaml.Node) -> str:
    """What is wrong where a tree has more than a file's: it is walked until then, since a value may hold itself."""
    waiting, seen, letters = [node], 0, 0
    while waiting:
        held = waiting.pop().value
        seen += 1
        letters += len(held) if isinstance(held, str) else 0
        if seen > NODES_MAX:
            return f"over {NODES_MAX} values, or one that holds itself: write it without aliases"
        if letters > BUNDLE_BYTES_MAX:
            return f"over {BUNDLE_BYTES_MAX} characters, aliases counted as often as they stand: write it without them"
        for each in held if isinstance(held, list) else ():
            waiting.extend(each if isinstance(each, tuple) else (each,))
    return ""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML says nothing of its types.
    """YAML's own, which stops where it is too much."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0

    def fetch_flow_collection_start(self, token: Any) -> None:
        self._check_deep(self.flow_level + 1)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        self._check_deep(len(self.indents) + (self.indent < column))
        return bool(super().add_indent(column))

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise OutOfBounds(self.peek_event().start_mark, f"over {NODES_MAX} values: a file has no more")
        return super().compose_node(parent, index)

    def _check_deep(self, deep: int) -> None:
        if deep > DEEP_MAX:
            words = "lists or keys stand too deep in each other: close a [ or {, or indent less"
            raise OutOfBounds(self.get_mark(), words)


def _read(text: str) -> yaml.Node | None:
    tree: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return tree


_kept = lru_cache(maxsize=TREES_KEPT)(_read)
