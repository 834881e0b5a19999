"""What agents write: what is refused, and with which words."""

import pytest

from actors.commands.checks import NAME_MAX, VALUE_MAX, check_name, check_text, check_value, check_words
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


@pytest.mark.parametrize(("value", "code"), [("x" * (VALUE_MAX + 1), Code.OVER_LIMIT), ("a\0b", Code.INVALID)])
def test_a_value_that_cannot_be_kept_as_it_is_is_refused(value: str, code: Code) -> None:
    """Numbers and nothing at all are kept."""
    for other in (0, 1.5, True, None, ""):
        check_value(other)
    with pytest.raises(Refusal) as refused:
        check_value(value)
    assert (refused.value.code, refused.value.field) == (code, "value")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "queue must have 1 to"),
        ("x" * (NAME_MAX + 1), "queue must have 1 to"),
        ("a\u200bb", "queue must have 1 to"),
        (" bills", "queue begins or ends with a blank: write it without"),
        ("bills\u00a0", "queue begins or ends with a blank: write it without"),
        ("   ", "queue begins or ends with a blank: write it without"),
    ],
)
def test_a_name_that_nobody_could_have_meant_is_refused(name: str, said: str) -> None:
    """A conversation in a queue that only looks like another waits where nobody looks."""
    assert check_name("new bills", "queue") == "new bills"
    with pytest.raises(Refusal, match=said) as refused:
        check_name(name, "queue")
    assert (refused.value.code, refused.value.field) == (Code.INVALID, "queue")
