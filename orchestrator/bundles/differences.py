"""Differences: what one policy changes in another, rule by rule, in the words that bundles are written in."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from actors.policy import Policy
from orchestrator.bundles.durations import in_words
from orchestrator.bundles.kinds import MS
from orchestrator.bundles.reading import GENERAL, OWN

NAME_KEYS = ("name", "kind", "id", "key")
"""What tells the members of a list apart, where they have it: a rule that moved is not two that changed."""


class Difference(Struct, frozen=True, order=True):
    """One rule; an empty `before` is new, an empty `after` gone."""

    rule: str
    """`channels.yaml: sms.rest_after`."""
    before: str
    after: str


def differences(old: Policy, new: Policy) -> list[Difference]:
    """All of them, by rule."""
    before, after = rules_of(old), rules_of(new)
    changed = (rule for rule in before.keys() | after.keys() if before.get(rule) != after.get(rule))
    return sorted(Difference(rule, before.get(rule, ""), after.get(rule, "")) for rule in changed)


def rules_of(policy: Policy) -> dict[str, str]:
    """Every rule in words."""
    rules: dict[str, str] = {}
    for name in policy.__struct_fields__:
        if name in OWN:
            continue
        value = getattr(policy, name)
        if isinstance(value, Struct | dict):
            rules.update((f"{name}.yaml: {rule}", words) for rule, words in _flat(value, ""))
        else:
            key = name.removesuffix(MS)
            rules.update((f"{GENERAL}: {rule}", words) for rule, words in _flat(value, key, ms=name.endswith(MS)))
    return rules


def _flat(value: Any, at: str, *, ms: bool = False) -> Iterable[tuple[str, str]]:
    dot = f"{at}." if at else ""
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _flat(getattr(value, name), f"{dot}{name.removesuffix(MS)}", ms=name.endswith(MS))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{dot}{key}", ms=ms)
    elif isinstance(value, list | tuple) and any(isinstance(item, Struct) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _flat(item, f"{at}[{_name(item) or number}]", ms=ms)
    elif isinstance(value, set | frozenset):
        yield at, ", ".join(sorted(map(str, value)))
    elif isinstance(value, list | tuple):
        yield at, ", ".join(_word(item, ms=ms) for item in value)
    else:
        yield at, _word(value, ms=ms)


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
