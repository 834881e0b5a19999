"""Answers that wait to be read, of all connections together: an export has tens of megabytes, and its reader may take
2 KiB of them a second for as long as it likes."""

from typing import Protocol

UNREAD_BYTES_MAX = 256 * 1024 * 1024
"""Half a dozen of the largest exports. Past it whoever has had the longest to read is cut off, and asks again."""


class Reading(Protocol):
    """Who has not read its answer."""

    def give_up(self) -> None:
        """Is cut off, and heard of here no more."""
        ...


class Unread:
    """What is unread of whom, in the order in which they began to let it wait."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._of: dict[Reading, int] = {}

    def waits(self, reading: Reading, size_bytes: int) -> None:
        """So much waits of one answer now. Gives the others up that waited before, until all that is left fits; one
        answer alone always does."""
        if not size_bytes:
            self.read(reading)
            return
        self.size_bytes += size_bytes - self._of.get(reading, 0)
        self._of[reading] = size_bytes
        while self.size_bytes > UNREAD_BYTES_MAX and (longest := next(iter(self._of))) is not reading:
            self.read(longest)
            longest.give_up()

    def read(self, reading: Reading) -> None:
        """It was read, or its connection is over."""
        self.size_bytes -= self._of.pop(reading, 0)
