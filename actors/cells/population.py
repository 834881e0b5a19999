"""Population: the journeys that live in a cell, the memory they take, and the order in which they would leave it.

It remembers proposed customers that have left memory, for as long as inputs under the same proposal may be on their
way: such an input says that the customer is new, which it is not any more.
"""

from collections.abc import Callable

from actors.cells.live import GRAIN, Live
from actors.state.journey import Journey
from protocol.links import Input
from protocol.oldest import forget_oldest

PROPOSED_MAX = 20_000
"""Proposed customers that are remembered. They matter for seconds, and a second brings some thousands of new customers
at most."""

JOURNEY_BYTES = 850
CONVERSATION_BYTES = 850
CONTEXT_VALUE_BYTES = 250
"""Rough sizes on CPython 3.11, for the memory cap; `benchmarks` measures what a conversation really takes."""

_NOT_MOVED = (None, None)


def weight(journey: Journey | None) -> int:
    """Bytes of memory, by estimate; None: of a journey with one new conversation."""
    if journey is None:
        return JOURNEY_BYTES + CONVERSATION_BYTES
    size = JOURNEY_BYTES + len(journey.once.packed) + (len(journey.aside.before) if journey.aside else 0)
    for conversation in journey.kept:
        size += CONVERSATION_BYTES + len(conversation.recent)
        size += sum(len(delivery.text) for delivery in conversation.deliveries.values())
        size += CONTEXT_VALUE_BYTES * sum(1 + len(item.others) for item in conversation.context.values())
    return size


class Population:
    """All live journeys of a cell, the longest untouched first."""

    def __init__(self, *, count_max: int, bytes_max: int, idle_ms: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._idle_ms = idle_ms
        self._lives: dict[str, Live] = {}
        self._grains = 0
        self._strangers: dict[str, None] = {}
        """Of whom nothing was found as they were loaded, since `leaving` last looked."""
        self._proposed: dict[str, tuple[set[str] | None, tuple[str, str] | None]] = {}
        """See `PROPOSED_MAX`; the oldest first. With `Live.moved` and `Live.moved_to` of those that left memory."""

    def __len__(self) -> int:
        return len(self._lives)

    @property
    def bytes(self) -> int:
        """The memory of all, by estimate."""
        return self._grains * GRAIN

    def get(self, customer: str) -> Live | None:
        """The customer's place, untouched."""
        return self._lives.get(customer)

    def begin(self, customer: str, scope: str) -> Live:
        """A place for a customer who has none. It is in the order of leaving from the first `touch` on."""
        live = Live(customer, scope)
        live.moved, live.moved_to = self._proposed.get(customer, _NOT_MOVED)
        self.weigh(live, weight(None))
        return live

    def touch(self, live: Live, now_ms: int) -> None:
        """Puts it last in the order of leaving."""
        self._lives.pop(live.customer, None)
        self._lives[live.customer] = live
        live.touched_ms = now_ms

    def weigh(self, live: Live, size: int) -> None:
        """Its memory is `size` bytes now, by estimate."""
        grains = -(-size // GRAIN)
        self._grains += grains - live.grains
        live.grains = grains

    def remove(self, live: Live) -> None:
        """It has left."""
        self._lives.pop(live.customer, None)
        self._grains -= live.grains
        live.grains = 0

    def note_stranger(self, live: Live) -> None:
        """Nothing is known of the customer: perhaps somebody made the name up."""
        self._strangers[live.customer] = None

    def leaving(self, now_ms: int, may_leave: Callable[[Live], bool]) -> list[Live]:
        """The journeys to be passivated now: those of nobody, else names that somebody makes up would put customers
        out; those that are idle, and the idlest while there are too many or they take too much memory."""
        chosen = [live for live in self._take_strangers() if may_leave(live)]
        excess = len(self._lives) - len(chosen) - self._count_max
        excess_bytes = self.bytes - sum(live.bytes for live in chosen) - self._bytes_max
        nobodies = {live.customer for live in chosen}
        for live in self._lives.values():
            if live.customer in nobodies:
                continue
            if excess <= 0 and excess_bytes <= 0 and now_ms - live.touched_ms < self._idle_ms:
                break
            if may_leave(live):
                chosen.append(live)
                excess -= 1
                excess_bytes -= live.bytes
        return chosen

    def _take_strangers(self) -> list[Live]:
        """Those who still are. One who is busy now becomes idle, as everybody does."""
        strangers, self._strangers = self._strangers, {}
        lives = [live for customer in strangers if (live := self._lives.get(customer)) is not None]
        return [live for live in lives if live.journey is not None and not live.journey.head]

    def was_here(self, proposed: Input) -> bool:
        """Whether a proposed customer may be real by now: an earlier input under the same proposal made it so, and it
        has left memory since, or it came with that input to another life or seat."""
        return proposed.again or proposed.customer in self._proposed

    def note_proposed(self, live: Live) -> None:
        """The customer was proposed, and may leave memory before a late input under the same proposal comes."""
        self._proposed[live.customer] = _NOT_MOVED if live.moved_to is None else (live.moved, live.moved_to)
        forget_oldest(self._proposed, PROPOSED_MAX)
