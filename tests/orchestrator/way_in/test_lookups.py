"""Look-ups: what waits for the store goes on in the order in which it was taken, and none of it is forgotten."""

import asyncio
from collections.abc import Sequence

from orchestrator.way_in.known_identities import KnownIdentities
from orchestrator.way_in.lookups import Lookups
from orchestrator.way_in.proposals import TakenEvent
from protocol.inbound import InboundEvent, MessageArrived


class Door:
    """A store that answers when it is let, and what became of each event."""

    def __init__(self, *, fault: Exception | None = None) -> None:
        self.asked: list[list[str]] = []
        self.answered = asyncio.Semaphore(0)
        self.fault = fault
        self.routed: list[int] = []
        self.refused: list[int] = []
        self.bugs: list[Exception] = []
        self.bug: Exception | None = None
        self.known = KnownIdentities()
        self.lookups = Lookups(
            self._customers_of,
            self.known,
            is_known=lambda identity: identity in self.known,
            route=self._route,
            refuse=lambda taken: self.refused.append(taken.number),
            broke=self.bugs.append,
        )

    async def _customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        self.asked.append(sorted(identities))
        await self.answered.acquire()
        if self.fault is not None:
            raise self.fault
        return dict.fromkeys(identities, "cu1")

    def _route(self, taken: TakenEvent) -> None:
        if self.bug is not None:
            raise self.bug
        self.routed.append(taken.number)

    def add(self, number: int, *identities: str) -> None:
        """An event comes in."""
        event = InboundEvent(
            id=f"e{number}",
            source="test",
            time_ms=1,
            account="chat",
            channel="chat",
            identities=list(identities),
            data=MessageArrived(text="hello"),
        )
        self.lookups.add(TakenEvent(number, event, number, number, b"", lambda outcome: None))


async def settle() -> None:
    """Lets the loop turn until the look-up waits again."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_shares_an_identity_with_one_that_waits_waits_behind_it() -> None:
    """What comes while the store is asked takes another round, with all that is behind it."""
    door = Door()
    door.add(1, "web:1")
    await settle()
    door.add(2, "web:1", "web:2")
    door.add(3, "web:1")
    door.answered.release()
    await settle()
    assert (door.routed, door.asked) == ([1], [["web:1"], ["web:2"]])
    door.answered.release()
    await settle()
    assert door.routed == [1, 2, 3]
    assert not door.lookups.awaited


async def test_a_store_that_fails_refuses_all_that_wait() -> None:
    """Who comes afterwards has it asked anew."""
    door = Door(fault=OSError("gone"))
    door.add(1, "web:1")
    door.add(2, "web:2")
    door.answered.release()
    await settle()
    assert (door.routed, door.refused, door.bugs) == ([], [1, 2], [])
    door.fault = None
    door.add(3, "web:1")
    door.answered.release()
    await settle()
    assert door.routed == [3]


async def test_a_bug_in_routing_is_heard() -> None:
    """Nobody awaits the look-up: it must not be lost with it."""
    door = Door()
    door.bug = ValueError("a bug")
    door.add(1, "web:1")
    door.answered.release()
    await settle()
    assert door.bugs == [door.bug]
