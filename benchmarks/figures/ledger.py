"""The ledger of a run: when each event was sent, acknowledged and pushed, and what that makes in figures.

All times are seconds of one monotonic clock, read by the callers. Numbers below zero are events of the past, which the
stores held before the run began: they are only ever sent as repeats.
"""

from array import array
from itertools import pairwise

from benchmarks.figures.percentiles import Percentiles, curve_ms, percentiles_ms

_ACKED = 1
_PUSHED = 2


class Ledger:
    """One run's events, by number. Only those that were sent inside the window count for rate and latency.

    `shown`: whether an agent is to see each event; else it is done when it is acknowledged.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._done = _ACKED | _PUSHED if shown else _ACKED
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
        self._acked_s = array("d")
        self._state = bytearray()
        self._from_s = self._to_s = float("inf")
        self._begin(0.0)

    def _begin(self, seconds: float) -> None:
        self._completed = self._repeats_completed = 0
        self._by_second = [0] * (int(seconds) + 1)
        self._ack_s = array("d")
        self._push_s = array("d")
        self._after_s = array("d")
        self._late_s = array("d")

    @property
    def sent(self) -> int:
        """Different events sent."""
        return len(self._sent_s)

    @property
    def open(self) -> int:
        """Events that are not done yet."""
        return len(self._state) - self._state.count(self._done)

    def begin_window(self, from_s: float, to_s: float) -> None:
        """What happens between these times is measured, and a window before is forgotten."""
        self._from_s, self._to_s = from_s, to_s
        self._begin(to_s - from_s)

    def send(self, number: int, at_s: float, *, repeat: bool) -> None:
        """Notes that an event leaves, or should leave by an open loop's clock. First sendings come in number order."""
        if repeat:
            self.repeats_sent += 1
            return
        assert number == len(self._sent_s), "the order hands out numbers one after the other"
        self._sent_s.append(at_s)
        self._acked_s.append(float("inf"))
        self._state.append(0)

    def ack(self, number: int, at_s: float, *, repeat: bool) -> None:
        """Notes an acknowledgement. An event may be acknowledged again for each of its repeats."""
        self.repeats_answered += repeat
        self._repeats_completed += repeat and self._from_s <= at_s < self._to_s
        if number < 0 or self._state[number] & _ACKED:
            return
        self.acked += 1
        self._acked_s[number] = at_s
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
            self._after_s.append(max(0.0, at_s - self._acked_s[number]))
        self._enter(number, _PUSHED, at_s)

    def late(self, by_s: float, at_s: float) -> None:
        """Notes how long after its time an open loop sent: the load generator's own share of the latencies."""
        if self._from_s <= at_s < self._to_s:
            self._late_s.append(by_s)

    def rate(self) -> float:
        """Events a second that were done inside the window."""
        return self._completed / (self._to_s - self._from_s)

    def answered_rate(self) -> float:
        """The same with the repeats that were answered inside it: what a rate that was offered is held against."""
        return (self._completed + self._repeats_completed) / (self._to_s - self._from_s)

    @property
    def completed(self) -> int:
        """Events that were done inside the window."""
        return self._completed

    @property
    def by_second(self) -> list[int]:
        """The same for each whole second of the window."""
        return self._by_second[:-1]

    def ack_ms(self) -> Percentiles:
        """From sending to acknowledgement."""
        return percentiles_ms(self._ack_s)

    def pause_s(self, from_s: float, to_s: float) -> float:
        """The longest time between these in which nothing was acknowledged for the first time."""
        acked = sorted(at_s for at_s in self._acked_s if from_s < at_s < to_s)
        return max(later - sooner for sooner, later in pairwise([from_s, *acked, to_s]))

    def push_ms(self) -> Percentiles:
        """From sending to the agent's screen."""
        return percentiles_ms(self._push_s)

    def push_after_ack_ms(self) -> Percentiles:
        """How much later than its acknowledgement an event was shown; 0 for one that was shown first."""
        return percentiles_ms(self._after_s)

    def late_ms(self) -> Percentiles:
        """How late the load generator itself was."""
        return percentiles_ms(self._late_s)

    def curves_ms(self) -> dict[str, list[tuple[float, float]]]:
        """Both as curves for a plot."""
        return {"ack": curve_ms(self._ack_s), "push": curve_ms(self._push_s)}

    def _enter(self, number: int, what: int, at_s: float) -> None:
        self._state[number] |= what
        if self._state[number] == self._done and self._from_s <= at_s < self._to_s:
            self._completed += 1
            self._by_second[int(at_s - self._from_s)] += 1
