"""Letters in normal forms: as the standard library makes them, but for marks without an end."""

from time import process_time
from typing import Literal
from unicodedata import combining, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.inbound import TEXT_MAX
from protocol.letters import MARKS_MAX, composed

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
