"""What tells two messages of one id apart."""

import pytest

from protocol.wording import digest_of, is_digest


def test_a_digest_is_of_all_that_a_message_says_and_of_whom_it_is_for() -> None:
    """As mails that left carry it: it is the same in every version. Half of a character, which JSON can carry, too."""
    to, subject, text = "mailto:ann@example.org", "Bill", "We look into it."
    assert digest_of(to, subject, text) == "50f87805"
    others = {digest_of("", subject, text), digest_of(to, "", text), digest_of(to, subject, "")}
    assert len({"50f87805", *others, digest_of("", "", "\ud800")}) == 5


@pytest.mark.parametrize("text", ["", "5f0c21d", "5f0c21d80", "5F0C21D8", "5f0c21dg", "5f0c21d8\n", "٥f0c21d8"])
def test_what_is_no_digest_is_told(text: str) -> None:
    """Eight hex digits, in small letters."""
    assert is_digest("5f0c21d8")
    assert not is_digest(text)
