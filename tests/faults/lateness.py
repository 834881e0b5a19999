"""Lateness: how long after its ack each event stood in each agent's view.

An outage, from a strike to the first ack of something that was sent after it, is nobody's lateness: an update that died
with its gateway comes when there is a gateway again. Everything else is, with the acks' clock and the views' being one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from protocol.events import MessageQueued, MessageReceived, NoteAdded
from tests.faults.traffic import Record
from tests.faults.truth import Truth
from tests.faults.watchers import View


class Outage(Struct, frozen=True):
    """No ack: from the strike at `began_s`, to the first ack of what was sent after it."""

    began_s: float
    ended_s: float

    @property
    def lasted_s(self) -> float:
        """0.3 s where the strike met nobody on the way."""
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


def outages(struck_s: Iterable[float], record: Record) -> list[Outage]:
    """One for each strike that something was acked after."""
    found: list[Outage] = []
    for began_s in struck_s:
        acks = (acked_s for word, acked_s in record.acked.items() if record.sent[word] > began_s)
        if (ended_s := min(acks, default=None)) is not None:
            found.append(Outage(began_s, ended_s))
    return found


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
