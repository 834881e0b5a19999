"""Durations in words: `90s`, `15 min`, `24h`, `3 days`, `1 h 30 min`."""

import re

_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "day": 86_400_000, "week": 7 * 86_400_000}
_SPELLINGS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("w", "week", "weeks"), "week"),
}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]+)[\s,]*")
LONGEST_MS = 100 * 365 * _UNITS_MS["day"]
"""A hundred years: longer than anything is waited for, and far inside what a clock counts in milliseconds."""


def duration_ms(text: str) -> int | None:
    """Milliseconds; None where the text is no duration, or one beyond `LONGEST_MS`. `0` needs no unit."""
    total = _total_ms(text)
    return round(total) if total is not None and total <= LONGEST_MS else None


def is_too_long(text: str) -> bool:
    """Whether it is a duration, and beyond `LONGEST_MS`."""
    total = _total_ms(text)
    return total is not None and total > LONGEST_MS


def _total_ms(text: str) -> float | None:
    text = text.strip().lower()
    if text == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part[2] not in _SPELLINGS:
            return None
        total += float(part[1]) * _UNITS_MS[_SPELLINGS[part[2]]]
        at = part.end()
    return total if text else None


def in_words(ms: int) -> str:
    """The same, the largest units first: `3 days`, `1 h 30 min`."""
    if not ms:
        return "0"
    words = []
    for unit in ("day", "h", "min", "s", "ms"):
        count, ms = divmod(ms, _UNITS_MS[unit])
        if count:
            words.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
    return " ".join(words)
