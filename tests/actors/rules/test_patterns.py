"""Patterns: a screen says of each pattern what a search for it says."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.patterns import Look, Screen, is_long, read_pattern

PATTERNS = [
    r"(?i)\bC[ -]?\d{6}\b",
    r"(?i)\bP[ -]?\d{8}\b",
    r"^\s*(\S+)",
    r"straße|ÜBER",
    r"(?s)a.*b$",
    r"x*",
    r"[^\x00-\x7f]",
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(["C-123456", "p 12345678", "c1234567", "STRASSE", "straße", "a", "b", "\n"]), st.text()),
    max_size=6,
).map("".join)


@given(st.lists(st.sampled_from(PATTERNS)), TEXTS)
def test_a_screen_says_what_searches_say(patterns: list[str], text: str) -> None:
    """However many there are, none of them too."""
    found = Screen(patterns).patterns_in(text)
    assert set(found) == {pattern for pattern in patterns if read_pattern(pattern).search(text)}


@pytest.mark.parametrize("text", ["", "x" * 1000])
def test_patterns_that_are_too_large_are_looked_for_one_by_one(text: str) -> None:
    """A screen never says that a text has none where it could not look."""
    large = [rf"(?:[\p{{L}}\p{{N}}]{{900}}{letter}|y)" for letter in "abcdefgh"]
    assert list(Screen(large).patterns_in(text)) == large


SEVERAL = {
    "a long one": ([r"\bP-?\d{8}\b", ".*x.{200}"], [".*x.{200}"]),
    "many": ([f".{{0,29}}{letter}" for letter in "abcdefghijklmnopq"], [".{0,29}l", ".{0,29}m"]),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_long_patterns_are_not_in_a_screen(case: str) -> None:
    """RE2 builds a state for each letter there, and gives none of them up: they are looked for alone, in any text."""
    patterns, alone = SEVERAL[case]
    assert set(alone) <= set(Screen(patterns).patterns_in("none: 17")) < set(patterns)


LONG = {
    r"(?i)\bC[ -]?\d{6}\b": False,
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b": False,
    "claim.{0,100}x": False,
    r"\pL{2,30}": False,
    r"\x{20ac}{1,30}": False,
    ".{0,1000}x.{0,1000}": True,
    ".*x.{400}": True,
    r"\p{Greek}{0,1000}": True,
    r"\x{20ac}{1,900}": True,
}


@pytest.mark.parametrize("pattern", LONG)
def test_a_count_of_any_letter_is_long(pattern: str) -> None:
    """Counts of what may be any letter; not classes, however many letters are in them."""
    assert is_long(pattern) is LONG[pattern]


def test_each_text_of_an_event_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of fields asks."""
    looked: list[str] = []
    screen = Screen(PATTERNS[:2])
    whole = Screen.patterns_in

    def noted(screen: Screen, text: str) -> Collection[str]:
        looked.append(text)
        return whole(screen, text)

    monkeypatch.setattr(Screen, "patterns_in", noted)
    look = Look(screen)
    assert [pattern in look.at(text) for text in ("C-123456", "none") for pattern in PATTERNS[:2]] == [
        True,
        False,
        False,
        False,
    ]
    assert looked == ["C-123456", "none"]
