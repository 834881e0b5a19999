"""Letters in normal forms: as the standard library makes them, but for marks without an end."""

import sys
from time import process_time
from typing import Literal
from unicodedata import combining, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.inbound import TEXT_MAX
from protocol.letters import _LONG, LONG_MAX, MARKS_MAX, composed

Form = Literal["NFC", "NFKC"]
forms = st.sampled_from(["NFC", "NFKC"])
ODD = ["\u0315\u0300", "\uff9e\u0300", "\u0f73\u0f71", "\u0344\u0321"]
"""Marks in another than their order; letters that become marks; ones that become two."""


@given(st.text(max_size=MARKS_MAX), forms)
def test_what_people_write_is_in_the_library_s_form(text: str, form: Form) -> None:
    """However odd it is, as long as no letter has too many marks."""
    assert composed(text, form) == normalize(form, text)


def test_a_long_text_beyond_ascii_is_in_the_library_s_form() -> None:
    """Each letter's marks are counted anew."""
    text = "か\u3099ば" * 200 + "Tie\u0302\u0301ng Vie\u0323\u0302t"
    assert composed(text, "NFKC") == normalize("NFKC", text)


@pytest.mark.parametrize("marks", ODD)
def test_no_letter_keeps_more_marks_than_are_looked_at(marks: str) -> None:
    """Each of those may stand for two, and a letter may have two of its own."""
    run = longest = 0
    for letter in normalize("NFKD", composed("a" + marks * 100, "NFKC")):
        run = run + 1 if combining(letter) else 0
        longest = max(longest, run)
    assert MARKS_MAX <= longest <= 2 * MARKS_MAX + 2


@pytest.mark.parametrize("marks", ODD)
def test_marks_without_an_end_take_no_time(marks: str) -> None:
    """The library takes a minute for a message of them."""
    began = process_time()
    assert len(composed("a" + marks * (TEXT_MAX // 2), "NFKC")) <= 2 * MARKS_MAX + 1
    assert process_time() - began < 2


def test_the_long_letters_are_those_that_stand_for_four_and_more() -> None:
    """Of all that the library knows."""
    letters = map(chr, range(sys.maxunicode + 1))
    known = [letter for letter in letters if not "\ud800" <= letter < "\ue000"]
    assert [letter for letter in known if _LONG.match(letter)] == [
        letter for letter in known if len(normalize("NFKC", letter)) > 3
    ]


@pytest.mark.parametrize("long", ["\ufdfa", "\u3316", "x\u33ae", "\u3304\u0301"])
def test_what_a_text_grows_to_is_bounded(long: str) -> None:
    """The first of the letters that stand for many are spelled out, the others stay; all else is in the form."""
    text = long * (TEXT_MAX // len(long))
    made = composed(text, "NFKC")
    assert len(made) <= TEXT_MAX + 18 * LONG_MAX
    spelled = normalize("NFKC", long * LONG_MAX)
    assert made.startswith(spelled)
    assert made[len(spelled) :] == composed(long, "NFC") * (TEXT_MAX // len(long) - LONG_MAX)


def test_letters_between_too_many_long_ones_are_in_the_form() -> None:
    """Also the last."""
    text = "\ufdfa" * (LONG_MAX + 1) + "\uff21\ufdfaka\u3099" + "\ufdfa\uff22"
    assert composed(text, "NFKC").endswith("\ufdfaA\ufdfaka\u3099\ufdfaB")
