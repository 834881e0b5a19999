"""What agents write: what is refused, and with which words."""

import pytest

from actors.checks import VALUE_MAX, check_text, check_words
from protocol.errors import Code, Refusal
from protocol.inbound import TEXT_MAX


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(" \n", Code.INVALID, id="nothing is said"),
        pytest.param("x" * (TEXT_MAX + 1), Code.OVER_LIMIT, id="too much is said"),
        pytest.param("half of it\0is hidden", Code.INVALID, id="the archive would end at a NUL"),
    ],
)
def test_a_text_that_cannot_be_kept_as_it_is_is_refused(text: str, code: Code) -> None:
    """The refusal names the field."""
    with pytest.raises(Refusal) as refused:
        check_text(text)
    assert (refused.value.code, refused.value.field) == (code, "text")


@pytest.mark.parametrize(("words", "code"), [("x" * (VALUE_MAX + 1), Code.OVER_LIMIT), ("a\0b", Code.INVALID)])
def test_a_reason_that_cannot_be_kept_as_it_is_is_refused(words: str, code: Code) -> None:
    """Which may be left out."""
    check_words("", "reason")
    with pytest.raises(Refusal) as refused:
        check_words(words, "reason")
    assert (refused.value.code, refused.value.field) == (code, "reason")
