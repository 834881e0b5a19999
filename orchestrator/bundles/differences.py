"""Differences: what one policy changes in another, rule by rule, in the words that bundles are written in."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from actors.rules.policy import Policy
from orchestrator.bundles.durations import in_words
from orchestrator.bundles.kinds import MS
from orchestrator.bundles.reading import GENERAL, OWN
from orchestrator.bundles.wording import named

NAME_KEYS = ("name", "kind", "id", "key")
"""What tells the members of a list apart, where they have it: a rule that moved is not two that changed."""


SAYS_NOTHING = "(all as without it)"
"""Of an entry in which nothing is written."""


class Difference(Struct, frozen=True, order=True):
    """One rule; an empty `before` is new, an empty `after` gone."""

    rule: str
    """`channels.yaml: sms.rest_after`."""
    before: str
    after: str


class _Rule(Struct, frozen=True):
    """One rule's words; whether it is as if nobody had written it, the entry (a channel, a template) it is of, and what
    its value is called where the words may be those of another one: `yes` is a word, too."""

    words: str
    unsaid: bool = False
    entry: str = ""
    form: str = ""


def differences(old: Policy, new: Policy) -> list[Difference]:
    """All of them, by rule. Of an entry that is new or gone only what it says: the rest is as without it."""
    before, after = _rules_of(old), _rules_of(new)
    every = before.keys() | after.keys()
    changed = [rule for rule in every if _differ(before.get(rule, _NONE), after.get(rule, _NONE))]
    shown: list[Difference] = []
    silent: dict[str, tuple[str, str]] = {}
    for rule in changed:
        one = before.get(rule) or after[rule]
        if (rule in before) != (rule in after) and one.unsaid:
            silent[one.entry] = ("", SAYS_NOTHING) if rule in after else (SAYS_NOTHING, "")
        else:
            shown.append(_shown(rule, before.get(rule, _NONE), after.get(rule, _NONE)))
    told = {(before.get(each.rule) or after[each.rule]).entry for each in shown}
    shown += [Difference(entry, *words) for entry, words in silent.items() if entry not in told]
    return sorted(shown, key=lambda each: (_as_counted(each.rule), each))


def _as_counted(rule: str) -> list[tuple[str, int, str]]:
    """An order in which the second window stands before the tenth."""
    return [(words, len(number), number) for words, number in _NUMBERED.findall(rule)]


def rules_of(policy: Policy) -> dict[str, str]:
    """Every rule in words."""
    return {rule: found.words for rule, found in _rules_of(policy).items()}


def _words(rules: Mapping[str, _Rule], rule: str) -> str:
    return rules.get(rule, _NONE).words


def _differ(one: _Rule, other: _Rule) -> bool:
    return one.words != other.words or (one.form != other.form and bool(one.form and other.form))


def _shown(rule: str, before: _Rule, after: _Rule) -> Difference:
    if before.words != after.words:
        return Difference(rule, before.words, after.words)
    return Difference(rule, f"{before.words} ({before.form})", f"{after.words} ({after.form})")


def _rules_of(policy: Policy) -> dict[str, _Rule]:
    rules: dict[str, _Rule] = {}
    for name in policy.__struct_fields__:
        if name in OWN:
            continue
        value = getattr(policy, name)
        if isinstance(value, Struct | dict):
            rules.update((f"{name}.yaml: {rule}", found) for rule, found in _flat(value, "", of=f"{name}.yaml: "))
        else:
            key = name.removesuffix(MS)
            rules.update((f"{GENERAL}: {rule}", found) for rule, found in _flat(value, key, ms=name.endswith(MS)))
    return rules


def _flat(
    value: Any, at: str, *, ms: bool = False, unsaid: bool = False, entry: str = "", of: str = ""
) -> Iterable[tuple[str, _Rule]]:
    """The rules below a value. `of`: the file, which an entry is named with."""
    dot = f"{at}." if at else ""
    if isinstance(value, Struct):
        defaults = {each.name: _default(each) for each in msgspec.structs.fields(value)}
        for name in value.__struct_fields__:
            given = getattr(value, name)
            plain = unsaid or given == defaults[name]
            path = f"{dot}{name.removesuffix(MS)}"
            yield from _flat(given, path, ms=name.endswith(MS), unsaid=plain, entry=entry, of=of)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            own = entry or (f"{of}{dot}{key}" if isinstance(item, Struct) else "")
            yield from _flat(item, f"{dot}{key}", ms=ms, unsaid=unsaid and bool(entry), entry=own, of=of)
    elif isinstance(value, list | tuple) and any(isinstance(item, Struct) for item in value):
        for place, item in zip(_places(value), value, strict=True):
            path = f"{at}[{place}]"
            yield from _flat(item, path, ms=ms, entry=entry or f"{of}{path}", of=of)
    elif isinstance(value, set | frozenset):
        yield at, _Rule(", ".join(sorted(map(str, value))), unsaid, entry)
    elif isinstance(value, list | tuple):
        yield at, _Rule(", ".join(_word(item, ms=ms) for item in value), unsaid, entry)
    else:
        yield at, _Rule(_word(value, ms=ms), unsaid, entry, _form(value))


def _default(field: Any) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _places(items: Sequence[Any]) -> Iterator[str]:
    """What each is called: its name, its number where it has none, and both where one before has the same name."""
    seen: Counter[str] = Counter()
    for number, item in enumerate(items, start=1):
        name = _name(item)
        seen[name] += 1
        yield f"{name} {seen[name]}" if name and seen[name] > 1 else name or str(number)


def _name(item: Any) -> str:
    return next((str(getattr(item, key)) for key in NAME_KEYS if getattr(item, key, "")), "")


def _word(value: Any, *, ms: bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if ms:
            return in_words(value)
        case None:
            return "none"
        case str():
            return value
        case _:
            return str(msgspec.to_builtins(value))


def _form(value: Any) -> str:
    """What it is called, where any value may stand; empty for nothing."""
    return "" if value is None else "a switch" if isinstance(value, bool) else named(type(value))


_NUMBERED = re.compile(r"(\D*)(\d*)", re.ASCII)
_NONE = _Rule("")
