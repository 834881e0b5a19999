"""Worded: which message left under which seq of a conversation, as far back as is kept. Pure.

    seq (4 bytes, big endian) | digest of its words (4) | seq | digest | …        oldest first

From the oldest one on all are there, so a seq between two is no message's.
"""

from protocol.wording import digest_of

MESSAGES_MAX = 64
"""Messages kept; of older ones nobody knows any more. Reports come within days, and a conversation has few."""
_SEQ = _DIGEST = 4
_BYTES = _SEQ + _DIGEST


def add(packed: bytes, seq: int, to: str, subject: str, text: str) -> bytes:
    """`packed` with the newest message, without the oldest where there are too many."""
    digest = bytes.fromhex(digest_of(to, subject, text))
    return (packed + seq.to_bytes(_SEQ, "big") + digest)[-MESSAGES_MAX * _BYTES :]


def digest_at(packed: bytes, seq: int) -> str | None:
    """The digest of the message at `seq`: empty where there is none, None where that is not kept."""
    if not packed or seq < int.from_bytes(packed[:_SEQ], "big"):
        return None
    for start in range(0, len(packed), _BYTES):
        if int.from_bytes(packed[start : start + _SEQ], "big") == seq:
            return packed[start + _SEQ : start + _BYTES].hex()
    return ""
