"""Values: one node of a YAML tree as a value of one type, with what is wrong told where it stands.

Numbers, words and switches are read as their type wants them and not as YAML guesses: `NO` is a country where words
are wanted, and `yes` is true where a switch is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
import yaml
from msgspec import Struct

from orchestrator.bundles.durations import duration_ms
from orchestrator.bundles.kinds import MS, is_required, keys_of, kind_of, may_be_none, plain
from protocol.errors import Refusal, ThroughlineError

Path = tuple[str, ...]
ABSENT: Final = object()
"""What is wrong has no value: it was told, and whatever holds it is left out too."""
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NUMBER_MAX = 2**53
"""Larger ones are not whole in every program that reads JSON; and no rule needs them. Nor is `nan` a number here."""
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
        self._stands(path, _line(node))
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
        for key, (name, hint) in keys_of(struct).items():
            if name not in fields and is_required(struct, name) and (*path, key) not in self._seen:
                self._wrong(_line(node), f"{_at(path)}{key} is missing: write `{key}: {_example(name, hint)}`")
        if self._told != told:
            return ABSENT
        try:
            return struct(**fields)
        except (ValueError, TypeError, ThroughlineError) as exc:
            words = exc.message if isinstance(exc, Refusal) else str(exc)
            self._wrong(_line_said(node, words), f"{_at(path)}{words}")
        return ABSENT

    def _fields(
        self, node: yaml.Node, known: Mapping[str, tuple[str, Any]], path: Path, *, tag: str | None = None
    ) -> dict[str, Any] | None:
        if node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._wrong(
                _line(node), f"{_at(path)}write keys and values below it, such as `{next(iter(known), 'key')}: …`"
            )
            return None
        fields: dict[str, Any] = {}
        for key, value in self._pairs(node, path):
            if key == tag:
                continue
            if key not in known:
                self._wrong(_line_of_key(node, key), _unknown(key, known, path))
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
            self._wrong(_line(node), f"{_at(path)}write names and what belongs to each below it, such as `name: …`")
            return ABSENT
        key_hint, value_hint = get_args(hint) or (str, Any)
        read: dict[Any, Any] = {}
        for key, value in self._pairs(node, path):
            name = self._checked(node, _as_key(key, key_hint), key_hint, (*path, key), line=_line_of_key(node, key))
            item = self.value(value, value_hint, (*path, key), ms=ms)
            if name is not ABSENT and item is not ABSENT:
                read[name] = item
        return read

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterable[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(_line(key), f"{_at(path)}a key is a word: write `key: value`")
            elif key.value in seen:
                words = f"{_at(path)}{key.value} stands here twice, first in line {seen[key.value]}: keep one"
                self._wrong(_line(key), words)
            else:
                seen[key.value] = _line(key)
                self._stands((*path, key.value), _line(key))
                yield key.value, value

    # Lists and choices

    def _list(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(_line(node), f"{_at(path)}write a list: a line with `- ` for each, or [one, two]")
            return ABSENT
        origin, given = get_origin(hint) or hint, get_args(hint)
        fixed = origin is tuple and given and given[-1] is not Ellipsis
        if fixed and len(node.value) != len(given):
            self._wrong(_line(node), f"{_at(path)}write a list of {len(given)}; this one has {len(node.value)}")
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
                self._wrong(_line(node), f"{_at(path)}write `{field}: …` with one of {', '.join(structs)}")
                return ABSENT
            return self._struct(node, structs[kind], path)
        for option in sorted(options, key=lambda each: each is str):
            if kind_of(option) == _form_of(node) and _fits(node, option):
                return self.value(node, option, path, ms=ms and option is int)
        self._wrong(_line(node), f"{_at(path)}write one of: {', '.join(map(_name, options))}")
        return ABSENT

    # Scalars

    def _scalar(self, node: yaml.Node, hint: Any, path: Path, *, ms: bool) -> Any:
        if hint is Any:
            try:
                return yaml.SafeLoader("").construct_object(node, deep=True)
            except yaml.YAMLError:
                self._wrong(_line(node), f"{_at(path)}write words, numbers, lists and keys alone")
                return ABSENT
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(_line(node), f"{_at(path)}write one value here, not a list or keys below it")
            return ABSENT
        value, wanted = _read(node.value, hint, ms=ms)
        if value is ABSENT or (node.tag == _NULL and hint is not str):
            given = "nothing" if node.tag == _NULL else repr(node.value[:64])
            self._wrong(_line(node), f"{_at(path)}{given} is not {wanted}")
            return ABSENT
        return value

    def _checked(self, node: yaml.Node, value: Any, hint: Any, path: Path, *, line: int = 0) -> Any:
        """The value, or `ABSENT` where it is outside the bounds that its type gives."""
        if value is ABSENT or get_origin(hint) is not Annotated or kind_of(hint) not in ("scalar",):
            return value
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as exc:
            self._wrong(line or _line(node), f"{_at(path)}{value!r} does not fit: {_bounds(str(exc))}")
            return ABSENT


def _read(text: str, hint: Any, *, ms: bool) -> tuple[Any, str]:
    """The text as that type, and what such a value is called."""
    if get_origin(hint) is Literal:
        choices = {str(each): each for each in get_args(hint)}
        return choices.get(text, ABSENT), _one_of(text, choices)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {str(each.value): each for each in hint}
        return members.get(text, ABSENT), _one_of(text, members)
    if hint is bool:
        return _SWITCHES.get(text.lower(), ABSENT), "a switch: write yes or no"
    if ms:
        found = duration_ms(text)
        example = f"{text.strip()}s or {text.strip()} min" if text.strip().isdigit() else "90s, 15 min, 24h or 3 days"
        return ABSENT if found is None else found, f"a duration: write a number and a unit, such as {example}"
    if hint in (int, float):
        wanted = "a whole number: write one in digits" if hint is int else "a number: write one in digits"
        try:
            number = hint(text.replace("_", ""))
        except ValueError:
            return ABSENT, wanted
        return (number if abs(number) <= NUMBER_MAX else ABSENT), wanted
    return text, "a word"


def _one_of(text: str, choices: Iterable[str]) -> str:
    known = list(choices)
    near = get_close_matches(text, known, 1)
    return f"one of {', '.join(known)}" + (f": did you mean {near[0]}?" if near else ": write one of them")


def _unknown(key: str, known: Iterable[str], path: Path) -> str:
    keys = list(known)
    if key.endswith(MS) and key.removesuffix(MS) in keys:
        name = key.removesuffix(MS)
        return f"{_at(path)}{key}: write `{name}` and a duration in words, such as `{name}: 15 min`"
    near = get_close_matches(key, keys, 1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    return f"{_at(path)}there is no key {key[:64]!r}: {meant}Known are {', '.join(sorted(keys))}"


def _as_key(key: str, hint: Any) -> Any:
    value, _ = _read(key, plain(hint), ms=False)
    return value if value is not ABSENT else key


def _form_of(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "dict"
    return "list" if isinstance(node, yaml.SequenceNode) else "scalar"


def _fits(node: yaml.Node, option: Any) -> bool:
    """Whether YAML itself takes a scalar for that type; words take what no other does."""
    kinds = {"bool": (bool,), "int": (int, float), "float": (float,)}.get(node.tag.rpartition(":")[2], ())
    return not isinstance(node, yaml.ScalarNode) or option in kinds or option is str


def _bounds(said: str) -> str:
    """msgspec's words on a bound, as an owner says them."""
    if _NAME_FORM in said:
        return "write letters and digits, `-` and `_`, at most 64, a letter or digit first"
    if _TIME_FORM in said:
        return "write a time of day as 07:00 or 16:30"
    if found := _BOUND.search(said):
        sign, number = found.groups()
        what = f"{_SIGNS[sign]} {number}"
        return f"write {what} character{'' if number == '1' else 's'}" if "length" in said else f"write {what}"
    return said.replace("Expected `", "write `").replace("matching regex", "of the form")


_BOUND = re.compile(r"(>=|<=|>|<) (\S+)")
_SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_NAME_FORM = "A-Za-z0-9_-]{0,63}"
"""Of `actors.policy.Name`."""
_TIME_FORM = "2[0-3]):[0-5][0-9]"
"""Of `actors.rules.report.ReportRules.at`."""


def _example(name: str, hint: Any) -> str:
    return "15 min" if name.endswith(MS) else "…"


def _name(option: Any) -> str:
    return {str: "a word", int: "a whole number", float: "a number", bool: "yes or no"}.get(option, str(option))


def _at(path: Path) -> str:
    """What is spoken of: the path below the subject."""
    return f"{'.'.join(path[1:] if len(path) > 1 else path)}: " if path else ""


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _line_said(node: yaml.Node, words: str) -> int:
    """Of words on a whole struct: the line of what they quote, below the key that they begin with; else of that key.
    Where they begin otherwise, the struct's."""
    first = words.split(maxsplit=1)[0].rstrip(":") if words else ""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for key, value in pairs:
        if key.value == first:
            quoted = _QUOTED.search(words)
            return (_scalar_line(value, quoted[1]) if quoted else 0) or _line(key)
    return _line(node)


def _line_of_key(node: yaml.MappingNode, key: str) -> int:
    return next(_line(each) for each, _ in node.value if each.value == key)


_QUOTED = re.compile(r"'([^']+)'")


def _scalar_line(node: yaml.Node, text: str) -> int:
    """The first line below where a key or value is that text; 0 where none is."""
    if isinstance(node, yaml.ScalarNode):
        return _line(node) if node.value == text else 0
    held = [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return next((line for each in held if (line := _scalar_line(each, text))), 0)
