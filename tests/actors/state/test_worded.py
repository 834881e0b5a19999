"""Which message left under which seq."""

from actors.state import worded
from protocol.wording import digest_of


def test_messages_are_found_by_their_seq() -> None:
    """Also among others; at a seq between two of them there is none, and of what was before the first nobody knows."""
    packed = b""
    assert worded.digest_at(packed, 4) is None
    for seq in (4, 9, 300, 70_000):
        packed = worded.add(packed, seq, "tel:+447700900123", "", f"words {seq}")
    assert worded.digest_at(packed, 3) is None
    for seq in (4, 9, 300, 70_000):
        assert worded.digest_at(packed, seq) == digest_of("tel:+447700900123", "", f"words {seq}")
    assert [worded.digest_at(packed, seq) for seq in (5, 299, 70_001)] == ["", "", ""]


def test_the_oldest_messages_are_forgotten() -> None:
    """Of them nobody knows any more; nor is one taken for no message."""
    packed = b""
    for seq in range(1, worded.MESSAGES_MAX + 3):
        packed = worded.add(packed, seq, "", "", str(seq))
    assert [worded.digest_at(packed, seq) for seq in (1, 2)] == [None, None]
    assert worded.digest_at(packed, 3) == digest_of("", "", "3")
    assert len(packed) == 8 * worded.MESSAGES_MAX
