"""Scalars: a text as a number, a word, a switch, a choice or a duration, as its type wants it and not as YAML guesses:
`NO` is a country where words are wanted, and `yes` is true where a switch is.
"""

import re
from enum import Enum
from typing import Any, Final, Literal, get_args, get_origin

from orchestrator.bundles.durations import duration_ms, is_too_long
from orchestrator.bundles.wording import one_of

ABSENT: Final = object()
"""What is wrong has no value: it was told, and whatever holds it is left out too."""
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_CALENDAR = re.compile(r"\d\s*(?:months?|years?)\b", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})[.,](\d{3})(?![\d.,])")
"""In some languages 3.650 days are ten years, in others not four days."""
NUMBER_MAX = 2**53
"""Larger ones are not whole in every program that reads JSON; and no rule needs them. Nor is `nan` a number here."""


def scalar_of(text: str, hint: Any, *, ms: bool) -> tuple[Any, str]:
    """The text as that type (with `ms` a duration, in milliseconds), `ABSENT` where it is none; and what is wanted, in
    words that say how to write it."""
    if get_origin(hint) is Literal:
        choices = {str(each): each for each in get_args(hint)}
        return choices.get(text, ABSENT), one_of(text, choices)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {str(each.value): each for each in hint}
        return members.get(text, ABSENT), one_of(text, members)
    if hint is bool:
        return _SWITCHES.get(text.lower(), ABSENT), "a switch: write yes or no"
    if ms:
        return _duration(text)
    if hint in (int, float):
        return _number(text, hint)
    return text, "a word"


def _duration(text: str) -> tuple[Any, str]:
    found = duration_ms(text)
    example = f"{text.strip()}s or {text.strip()} min" if text.strip().isdigit() else "90s, 15 min, 24h or 3 days"
    if thousands := _THOUSANDS.search(text):
        written = (text.strip().replace(thousands[0], each) for each in _both(*thousands.groups()))
        found, example = None, " or ".join(written)
    elif _CALENDAR.search(text):
        example = "30 days or 365 days: months and years are not all as long"
    elif is_too_long(text):
        return ABSENT, "a duration of a hundred years or less: write a shorter one, such as 3650 days"
    return ABSENT if found is None else found, f"a duration: write a number and a unit, such as {example}"


def _number(text: str, kind: type[int] | type[float]) -> tuple[Any, str]:
    wanted = "a whole number: write one in digits" if kind is int else "a number: write one in digits"
    if text.endswith("%"):
        wanted += ", without a sign"
    try:
        number = kind(text.replace("_", ""))
    except ValueError:
        return ABSENT, wanted
    return (number if abs(number) <= NUMBER_MAX else ABSENT), wanted


def _both(whole: str, part: str) -> tuple[str, str]:
    """How `3.650` is written where it is thousands, and where it is a part of one."""
    return f"{whole}{part}", f"{whole}.{part.rstrip('0') or '0'}" if part.endswith("0") else f"{whole}.{part}0"
