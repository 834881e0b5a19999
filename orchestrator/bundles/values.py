"""Values: one node of a YAML tree as a value of one type, with what is wrong told where it stands.

Whatever is wrong is told, one thing for each place, and reading goes on beside it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec
import yaml
from msgspec import Struct

from orchestrator.bundles.kinds import MS, bounded, is_required, keys_of, kind_of, may_be_none, plain
from orchestrator.bundles.nodes import Path, form_of, is_bare, line_of, line_said, tagged
from orchestrator.bundles.scalars import ABSENT, scalar_of
from orchestrator.bundles.unreadable import NO_SPACES
from orchestrator.bundles.wording import at, bounds, example, meant, named, no_keys, oddly_ended, unknown
from protocol.errors import Refusal, ThroughlineError

_ENDS = (",", ";")
"""Of a name, as other forms of writing end a line."""
_TAGGED = "a key or value that begins with ! stands in quotes: write '!…'"
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


class Reader:
    """Reads one file. `stands(path, line)` hears where each value stands, `wrong(line, words)` what is wrong."""

    def __init__(self, stands: Callable[[Path, int], object], wrong: Callable[[int, str], object]) -> None:
        self._on_stands = stands
        self._on_wrong = wrong
        self._seen: set[Path] = set()
        self._told = 0
        """How much is wrong so far: where it grew while a value was read, that value is not made."""

    def value(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool = False) -> Any:
        """The node as that type; `ABSENT` where it is wrong. `ms`: its numbers are durations."""
        self._stands(path, line_of(node))
        if tagged(node):
            self._wrong(line_of(node), f"{at(path)}{_TAGGED}")
            return ABSENT
        inner = plain(hint)
        if node.tag == _NULL and may_be_none(hint):
            return None
        match kind_of(inner):
            case "struct":
                value = self._struct(node, inner, path)
            case "dict":
                value = self._dict(node, inner, path, ms=ms)
            case "list":
                value = self._list(node, inner, path, ms=ms)
            case "union":
                value = self._union(node, inner, path, ms=ms)
            case _:
                value = self._scalar(node, inner, path, ms=ms)
        return self._checked(node, value, hint, path)

    def fields(self, node: yaml.Node, hints: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
        """The fields that a mapping gives, without those that are wrong; None where it is no mapping."""
        known = {name.removesuffix(MS): (name, hint) for name, hint in hints.items()}
        return self._fields(node, known, path)

    def _stands(self, path: Path, line: int) -> None:
        self._seen.add(path)
        self._on_stands(path, line)

    def _wrong(self, line: int, words: str) -> None:
        self._told += 1
        self._on_wrong(line, words)

    # Mappings

    def _struct(self, node: yaml.Node, struct: type[Struct], path: Path) -> Any:
        told = self._told
        fields = self._fields(node, keys_of(struct), path, tag=struct.__struct_config__.tag_field)
        if fields is None:
            return ABSENT
        for key, (name, _) in keys_of(struct).items():
            if name not in fields and is_required(struct, name) and (*path, key) not in self._seen:
                self._wrong(line_of(node), f"{at(path)}{key} is missing: write `{key}: {example(name)}`")
        if self._told != told:
            return ABSENT
        try:
            return struct(**fields)
        except (ValueError, TypeError, ThroughlineError) as exc:
            words = exc.message if isinstance(exc, Refusal) else str(exc)
            self._wrong(line_said(node, words), f"{at(path)}{words}")
        return ABSENT

    def _fields(
        self, node: yaml.Node, known: Mapping[str, tuple[str, Any]], path: Path, *, tag: str | None = None
    ) -> dict[str, Any] | None:
        if node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._wrong(line_of(node), no_keys(path, next(iter(known), "key")) + _instead(node))
            return None
        fields: dict[str, Any] = {}
        for key, line, value in self._pairs(node, path):
            if key == tag:
                continue
            if key not in known:
                self._wrong(line, unknown(key, known, path))
                self._seen.add((*path, meant(key, known)))
                continue
            name, hint = known[key]
            read = self.value(value, hint, (*path, key), ms=name.endswith(MS))
            if read is not ABSENT:
                fields[name] = read
        return fields

    def _dict(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        if node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._wrong(line_of(node), no_keys(path, "name") + _instead(node))
            return ABSENT
        key_hint, value_hint = get_args(hint) or (str, Any)
        within = keys_of(plain(value_hint)) if kind_of(value_hint) == "struct" else {}
        read: dict[Any, Any] = {}
        for key, line, value in self._pairs(node, path):
            if key in within and not isinstance(value, yaml.MappingNode):
                self._wrong(line, f"{at((*path, key))}this belongs to a name: indent it below that, by two spaces")
                continue
            name = self._checked(node, _as_key(key, key_hint), key_hint, (*path, key), line=line)
            item = self.value(value, value_hint, (*path, key), ms=ms)
            if name is not ABSENT and item is not ABSENT:
                read[name] = item
        return read

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterable[tuple[str, int, yaml.Node]]:
        """Each key that may stand here, its line, and what stands below it."""
        seen: dict[str, int] = {}
        for key, value in node.value:
            if words := _no_key(key, seen):
                self._wrong(line_of(key), f"{at(path)}{words}")
                continue
            seen[key.value] = line_of(key)
            self._stands((*path, key.value), line_of(key))
            yield key.value, line_of(key), value

    # Lists and choices

    def _list(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(line_of(node), f"{at(path)}write a list: a line with `- ` for each, or [one, two]")
            return ABSENT
        origin, given = get_origin(hint) or hint, get_args(hint)
        fixed = origin is tuple and given and given[-1] is not Ellipsis
        if fixed and len(node.value) != len(given):
            self._wrong(line_of(node), f"{at(path)}write a list of {len(given)}; this one has {len(node.value)}")
            return ABSENT
        hints = given if fixed else ((given[0] if given else Any),) * len(node.value)
        told = self._told
        read = [
            self.value(each, each_hint, (*path, str(number)), ms=ms)
            for number, (each, each_hint) in enumerate(zip(node.value, hints, strict=True), start=1)
        ]
        return ABSENT if self._told != told or ABSENT in read else origin(read)

    def _union(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        options = [plain(each) for each in get_args(hint) if each is not type(None)]
        structs = {str(each.__struct_config__.tag): each for each in options if kind_of(each) == "struct"}
        if structs and isinstance(node, yaml.MappingNode):
            field = str(next(iter(structs.values())).__struct_config__.tag_field)
            kind = next((value.value for key, value in node.value if key.value == field), None)
            if kind not in structs:
                self._wrong(line_of(node), f"{at(path)}write `{field}: …` with one of {', '.join(structs)}")
                return ABSENT
            return self._struct(node, structs[kind], path)
        for option in sorted(options, key=lambda each: each is str):
            if kind_of(option) == form_of(node) and _fits(node, option):
                return self.value(node, option, path, ms=ms and option is int)
        self._wrong(line_of(node), f"{at(path)}write one of: {', '.join(map(named, options))}")
        return ABSENT

    # Scalars

    def _scalar(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        if hint is Any:
            try:
                return yaml.SafeLoader("").construct_object(node, deep=True)
            except yaml.YAMLError:
                self._wrong(line_of(node), f"{at(path)}write words, numbers, lists and keys alone")
                return ABSENT
        if not isinstance(node, yaml.ScalarNode):
            words = "write one value here, not a list or keys below it"
            self._wrong(line_of(node), f"{at(path)}{words}{_colon_in(node, path)}")
            return ABSENT
        if words := oddly_ended(node):
            self._wrong(line_of(node), f"{at(path)}{words}")
            return ABSENT
        value, wanted = scalar_of(node.value, hint, ms=ms)
        if value is ABSENT or (node.tag == _NULL and hint is not str):
            given = "nothing" if node.tag == _NULL else repr(node.value[:64])
            self._wrong(line_of(node), f"{at(path)}{given} is not {wanted}")
            return ABSENT
        return value

    def _checked(self, node: yaml.Node, value: Any, hint: Any, path: Path, *, line: int = 0) -> Any:
        """The value, or `ABSENT` where it is outside the bounds that its type gives: cells read by them, too."""
        hint = bounded(hint)
        if value is ABSENT or get_origin(hint) is not Annotated or kind_of(hint) not in ("scalar",):
            return value
        if not line and isinstance(value, str) and is_bare(node) and (words := _oddly_written(value)):
            self._wrong(line_of(node), f"{at(path)}{value[:64]!r} {words}")
            return ABSENT
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as exc:
            given = value[:64] if isinstance(value, str) else value
            self._wrong(line or line_of(node), f"{at(path)}{given!r} does not fit: {bounds(str(exc))}")
            return ABSENT


def _oddly_written(name: str) -> str:
    """What is wrong with a name that stands there without quotes."""
    if name.endswith(_ENDS):
        return f"ends with {name[-1]!r}: take it away"
    return "has a # in it: write a blank before a remark's #, or put the name in quotes" if "#" in name else ""


def _instead(node: yaml.Node) -> str:
    """What stands there and keeps it from being keys and values."""
    if isinstance(node, yaml.SequenceNode):
        return ", without dashes"
    if isinstance(node, yaml.ScalarNode) and any(f":{space}" in node.value for space in NO_SPACES):
        return ": what stands behind the colon here is a no-break space"
    return ""


def _colon_in(node: yaml.Node, path: Path) -> str:
    """What to write where a list's value was taken for a key and another value, since a colon stands in it."""
    pairs = node.value if isinstance(node, yaml.MappingNode) and path[-1].isdecimal() else []
    if len(pairs) != 1 or not all(isinstance(each, yaml.ScalarNode) for each in pairs[0]):
        return ""
    key, value = pairs[0]
    return f"; what has a colon in it stands in quotes: '{key.value}:{value.value}'"


def _as_key(key: str, hint: Any) -> Any:
    value, _ = scalar_of(key, plain(hint), ms=False)
    return value if value is not ABSENT else key


def _fits(node: yaml.Node, option: Any) -> bool:
    """Whether YAML itself takes a scalar for that type, and nothing of it would be lost: `0044`, `+44207946`, `1.50`
    and `12:30` are words. Words take what no other does."""
    if not isinstance(node, yaml.ScalarNode) or option is str:
        return True
    kinds = {"bool": (bool,), "int": (int, float), "float": (float,)}.get(node.tag.rpartition(":")[2], ())
    return option in kinds and (option is bool or str(scalar_of(node.value, option, ms=False)[0]) == node.value)


def _no_key(key: yaml.Node, seen: Mapping[str, int]) -> str:
    """Why it is no key beside those that were `seen`, each with its line; empty where it is one."""
    if not isinstance(key, yaml.ScalarNode):
        return "a key is a word: write `key: value`"
    if key.value.strip(NO_SPACES) != key.value:
        return "a no-break space stands before this key or behind it: write an ordinary one in its place"
    if tagged(key):
        return _TAGGED
    if words := oddly_ended(key):
        return words
    if key.tag == _MERGE:
        return "nothing is taken over by `<<`: write the keys themselves"
    if key.value in seen:
        return f"{key.value} stands here twice, first in line {seen[key.value]}: keep one"
    return ""
