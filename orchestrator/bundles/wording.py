"""Wording: what is wrong with a value, as it is said to whoever wrote the bundle."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import yaml

from actors.rules.identity import MISTAKEN
from orchestrator.bundles.kinds import MS
from orchestrator.bundles.nodes import Path, is_bare

_BOUND = re.compile(r"(>=|<=|>|<) (\S+)")
_SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_DOUBLE = frozenset("„“”‟«»")
_SINGLE = frozenset("‚‘’‛‹›")
"""Of these one alone may be an apostrophe."""
_NAME_FORM = "A-Za-z0-9_-]{0,63}"
"""Of `actors.rules.names.Name`."""
_WORD_FORM = "u2029]*(?<!"
"""Of `actors.rules.names.Word`."""
_TIME_FORM = "2[0-3]):[0-5][0-9]"
"""Of `actors.rules.report.ReportRules.at`."""


def one_of(text: str, choices: Iterable[str]) -> str:
    """What is wanted where it is one of these; with the nearest to what was written."""
    known = list(choices)
    near = get_close_matches(text, known, 1)
    return f"one of {', '.join(known)}" + (f": did you mean {near[0]}?" if near else ": write one of them")


def no_kind(kind: str, known: Iterable[str]) -> str:
    """That there is no such kind of identity, with what may have been meant: also by a word for it that is none."""
    kinds = sorted(known)
    near = get_close_matches(kind.lower(), [*kinds, *MISTAKEN], 1)
    if near:
        return f"{kind!r} is no kind of identity: write {MISTAKEN.get(near[0], near[0])}"
    return f"{kind!r} is no kind of identity: write one of {', '.join(kinds)}"


def oddly_ended(node: yaml.ScalarNode) -> str:
    """What is wrong with a value that stands in the quotes of a letter, which are none here; empty where it does not.
    Who writes them within ordinary ones means them."""
    text = node.value
    single = text[:1] in _SINGLE and text[-1:] in _SINGLE
    if not is_bare(node) or not (single or text[:1] in _DOUBLE or text[-1:] in _DOUBLE):
        return ""
    within = text.strip("".join(_SINGLE | _DOUBLE))
    if not within or not (_SINGLE | _DOUBLE).isdisjoint(within):
        # Words that begin or end with something quoted.
        return ""
    return f"{text[:64]} has the quotes of a letter, which count as a part of it: write '{within[:64]}'"


def meant(key: str, known: Iterable[str]) -> str:
    """The key that an unknown one is nearest to; empty where none is near."""
    return next(iter(get_close_matches(key, list(known), 1)), "")


def unknown(key: str, known: Iterable[str], path: Path) -> str:
    """That there is no such key, with what may have been meant."""
    keys = list(known)
    before, colon, behind = key.partition(":")
    if colon and before in keys:
        return f"{at(path)}a space is missing behind the colon: write `{before}: {behind[:64]}`"
    if key.endswith(MS) and key.removesuffix(MS) in keys:
        name = key.removesuffix(MS)
        return f"{at(path)}{key}: write `{name}` and a duration in words, such as `{name}: 15 min`"
    near = meant(key, keys)
    asked = f"did you mean `{near}`? " if near else ""
    return f"{at(path)}there is no key {key[:64]!r}: {asked}Known are {', '.join(sorted(keys))}"


def no_keys(path: Path, key: str) -> str:
    """That keys and values are wanted, such as `key`."""
    if len(path) < 2:
        return f"{at(path)}write keys and values, each as `{key}: …` with a colon and a space"
    return f"{at(path)}write keys and values below it, such as `{key}: …`"


def bounds(said: str) -> str:
    """msgspec's words on a bound, as an owner says them."""
    if _NAME_FORM in said:
        return "write letters and digits, `-` and `_`, at most 64, a letter or digit first"
    if _WORD_FORM in said:
        return "write it in one line, without a blank before it or behind"
    if _TIME_FORM in said:
        return "write a time of day as 07:00 or 16:30"
    if found := _BOUND.search(said):
        sign, number = found.groups()
        what = f"{_SIGNS[sign]} {number}"
        return f"write {what} character{'' if number == '1' else 's'}" if "length" in said else f"write {what}"
    return said.replace("Expected `", "write `").replace("matching regex", "of the form")


def example(name: str) -> str:
    """A value as one is written for such a field."""
    return "15 min" if name.endswith(MS) else "…"


def named(option: Any) -> str:
    """What an owner calls a type."""
    return {str: "a word", int: "a whole number", float: "a number", bool: "yes or no"}.get(option, str(option))


def at(path: Path) -> str:
    """What is spoken of: the path below the subject."""
    return f"{'.'.join(path[1:] if len(path) > 1 else path)}: " if path else ""
