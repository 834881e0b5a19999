"""The ledger of a run: when each event was sent, acknowledged and pushed, and what that makes in figures.

All times are seconds of one monotonic clock, read by the callers. A latency is exact, not a bucket's: runs are short
enough to keep every one.
"""

from array import array
from collections.abc import Sequence

from msgspec import Struct

_ACKED = 1
_PUSHED = 2
_BOTH = _ACKED | _PUSHED


class Percentiles(Struct, frozen=True):
    """Latencies in milliseconds; all zero where there were none."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Ledger:
    """One run's events, by number. Only those that were sent inside the window count for rate and latency."""

    def __init__(self) -> None:
        self.acked = 0
        """Events acknowledged at least once, whenever they were sent."""
        self.pushed = 0
        self.repeats_sent = 0
        self.repeats_answered = 0
        """Acknowledgements that said `repeat`."""
        self.refused = 0
        self.refusal = ""
        """The newest refusal, in the server's words."""
        self.pushed_twice = 0
        """Must stay 0: the agent was shown an event again."""
        self._sent_s = array("d")
        self._state = bytearray()
        self._from_s = self._to_s = float("inf")
        self._completed = 0
        self._ack_s = array("d")
        self._push_s = array("d")

    @property
    def sent(self) -> int:
        """Different events sent."""
        return len(self._sent_s)

    @property
    def open(self) -> int:
        """Events that were not both acknowledged and pushed yet."""
        return len(self._state) - self._state.count(_BOTH)

    def begin_window(self, from_s: float, to_s: float) -> None:
        """What happens between these times is measured."""
        self._from_s, self._to_s = from_s, to_s

    def send(self, number: int, at_s: float, *, repeat: bool) -> None:
        """Notes that an event leaves, or should leave by an open loop's clock. First sendings come in number order."""
        if repeat:
            self.repeats_sent += 1
            return
        assert number == len(self._sent_s), "the order hands out numbers one after the other"
        self._sent_s.append(at_s)
        self._state.append(0)

    def ack(self, number: int, at_s: float, *, repeat: bool) -> None:
        """Notes an acknowledgement. An event may be acknowledged again for each of its repeats."""
        self.repeats_answered += repeat
        if self._state[number] & _ACKED:
            return
        self.acked += 1
        if self._from_s <= self._sent_s[number] < self._to_s:
            self._ack_s.append(at_s - self._sent_s[number])
        self._enter(number, _ACKED, at_s)

    def push(self, number: int, at_s: float, *, snapshot: bool = False) -> None:
        """Notes that an agent was shown the event. A snapshot may show it again; updates must not."""
        if self._state[number] & _PUSHED:
            self.pushed_twice += not snapshot
            return
        self.pushed += 1
        if self._from_s <= self._sent_s[number] < self._to_s:
            self._push_s.append(at_s - self._sent_s[number])
        self._enter(number, _PUSHED, at_s)

    def rate(self) -> float:
        """Events a second that became both acknowledged and pushed inside the window."""
        return self._completed / (self._to_s - self._from_s)

    @property
    def completed(self) -> int:
        """Events that became both acknowledged and pushed inside the window."""
        return self._completed

    def ack_ms(self) -> Percentiles:
        """From sending to acknowledgement."""
        return percentiles_ms(self._ack_s)

    def push_ms(self) -> Percentiles:
        """From sending to the agent's screen."""
        return percentiles_ms(self._push_s)

    def _enter(self, number: int, what: int, at_s: float) -> None:
        self._state[number] |= what
        if self._state[number] == _BOTH and self._from_s <= at_s < self._to_s:
            self._completed += 1


def percentiles_ms(samples_s: Sequence[float]) -> Percentiles:
    """Nearest-rank percentiles: each is a latency that was measured."""
    if not samples_s:
        return Percentiles()
    ordered = sorted(samples_s)

    def rank(share: float) -> float:
        return round(1000 * ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 3)

    return Percentiles(p50=rank(0.50), p90=rank(0.90), p99=rank(0.99), max=rank(1.0))
