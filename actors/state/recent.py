"""Recent events: the newest of a conversation, as one string of bytes, so that a resume within them needs no store.

    length 4 (big endian) | the event's bytes | length 4 | …        oldest first, ending with the head

One object for all of them: as a list of five or six they took 300 bytes more in every live conversation.
"""

EVENTS_MAX = 32
BYTES_MAX = 4096
"""Whichever bound comes first. The newest event stays even where it alone is longer …"""
WHOLE_MAX = 16 * BYTES_MAX
"""… up to here: one enormous message goes to watchers as it comes, and to later readers from the archive."""
_LENGTH = 4


def add(packed: bytes, count: int, encoded: bytes) -> tuple[bytes, int]:
    """`packed` with the next event, without the oldest that no longer fit; and how many there are now."""
    if len(encoded) > WHOLE_MAX:
        return b"", 0
    packed = b"".join((packed, len(encoded).to_bytes(_LENGTH, "big"), encoded))
    count += 1
    start = 0
    while count > EVENTS_MAX or (len(packed) - start > BYTES_MAX and count > 1):
        start += _LENGTH + int.from_bytes(packed[start : start + _LENGTH], "big")
        count -= 1
    return (packed[start:] if start else packed), count


def events(packed: bytes) -> list[bytes]:
    """Each event's bytes, oldest first."""
    found: list[bytes] = []
    start = 0
    while start < len(packed):
        end = start + _LENGTH + int.from_bytes(packed[start : start + _LENGTH], "big")
        found.append(packed[start + _LENGTH : end])
        start = end
    return found
