"""Lateness: how long after its ack each event stood in each agent's view.

An outage is nobody's lateness: an update that died with its gateway comes when there is a gateway again. It is a
stretch between a strike and the server's being whole in which no chat is acked at all, though somebody always talks.
For who begins anew meanwhile, with a new connection, it is all of that time, since lists come from the archive. All
else is lateness: while others have their acks, a view that does not follow is behind.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from protocol.events import MessageQueued, MessageReceived, NoteAdded
from tests.faults.traffic import Record
from tests.faults.truth import Truth
from tests.faults.watchers import View

QUIET_S = 1.0
"""A longer stretch without an ack is an outage: a campaign has dozens of acks a second, ten where it is dedicated."""


class Outage(Struct, frozen=True):
    """Nobody is served, from `began_s` to `ended_s`."""

    began_s: float
    ended_s: float

    @property
    def lasted_s(self) -> float:
        """Its length."""
        return self.ended_s - self.began_s

    def within(self, since_s: float, until_s: float) -> float:
        """How much of that stretch it took."""
        return max(0.0, min(until_s, self.ended_s) - max(since_s, self.began_s))


class Shown(Struct, frozen=True):
    """One event in one view."""

    acked_s: float
    shown_s: float

    def behind_s(self, outages: Iterable[Outage]) -> float:
        """From the ack to the view, without what of it was an outage. 0 where the view was first."""
        took_s = self.shown_s - self.acked_s
        # Outages may overlap where two strikes make a pair.
        return max(0.0, took_s - _union(self.acked_s, self.shown_s, outages))


def outages(broken: Iterable[Outage], acks_s: Iterable[float]) -> list[Outage]:
    """The stretches without an ack inside of these, which are from a strike to the server's being whole. One may have
    begun a little before, with the last ack that was on its way."""
    gaps = [Outage(*pair) for pair in pairwise(sorted(acks_s)) if pair[1] - pair[0] > QUIET_S]
    return [gap for gap in gaps if any(gap.within(each.began_s, each.ended_s) for each in broken)]


def shown(view: View, truth: Truth, record: Record) -> Iterator[Shown]:
    """Each event of the view that somebody had an ack, a 250 or a result for."""
    answered = {**record.acked, **record.answered}
    for stream, seq, event in truth.events():
        if not isinstance(event, MessageReceived | MessageQueued | NoteAdded):
            continue
        acked_s, shown_s = answered.get(event.text.strip()), view.shown.get(stream, {}).get(seq)
        if acked_s is not None and shown_s is not None:
            yield Shown(acked_s, shown_s)


def by_strike(each: Iterable[Shown], struck_s: Sequence[float]) -> dict[int, list[Shown]]:
    """By the newest strike before it was shown; what was shown before the first is left out."""
    found: dict[int, list[Shown]] = {}
    for one in each:
        if number := bisect_right(struck_s, one.shown_s):
            found.setdefault(number - 1, []).append(one)
    return found


def _union(since_s: float, until_s: float, found: Iterable[Outage]) -> float:
    """How much of that stretch any of them took."""
    took_s = 0.0
    for outage in sorted(found, key=lambda outage: outage.began_s):
        took_s += outage.within(since_s, until_s)
        since_s = max(since_s, min(until_s, outage.ended_s))
    return took_s
