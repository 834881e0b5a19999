"""Erasing: an operator has a person forgotten. The server is stopped for it while all others go on.

Who erases is a process of its own that dies now and then, with the machine or without, and is begun again until it is
done, as `throughline serve` does it. All of it draws from a `Random` of its own; five of seven seeds have none of it.
"""

import asyncio
from collections.abc import Iterable, Iterator
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

import msgspec

from orchestrator.erasure import erasing, files
from orchestrator.erasure.erasing import Act
from protocol.errors import Refusal
from protocol.events import (
    AnyEvent,
    CustomerReturned,
    IdentityLinked,
    MessageQueued,
    MessageReceived,
    NoteAdded,
)
from protocol.inbound import InboundEvent, MessageArrived
from tests.simulation.disks import EraserStorage
from tests.simulation.life import Life
from tests.simulation.plan import SOURCES
from tests.simulation.promises import erased
from tests.simulation.promises.erased import Forgotten
from tests.simulation.sources import Offer
from tests.simulation.world import offered

if TYPE_CHECKING:
    from tests.simulation.world import World

WITHIN_S = 60.0
"""So long nobody takes to erase a run's customer: it hangs."""
DIES_WITHIN_S = 0.09
"""An erasure takes about as long: so some die before the act is committed, and some after that."""
SAID_AGAIN = 3
AGAIN_WITHIN_S = 2.0
UNFIT = 4
"""Inputs that fit nothing, of whoever: the account keeps them."""


class Erasing:
    """Erases one customer at a time."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"erasing {world.plan.seed}")
        self._lives = 0
        # The number was chosen so that no seed known to catch a mutant has any.
        self._unfit = Random(f"unfit 5 {world.plan.seed}")

    def schedule(self) -> None:
        """Each gets its moment."""
        plan = self._world.plan
        for _ in range(plan.erasures):
            self._world.loop.call_later(self._random.uniform(0.3, 0.95) * plan.active_s, self.step)
        if plan.erasures and self._unfit.random() < 0.3:
            for n in range(UNFIT):
                self._world.loop.call_later(self._unfit.uniform(0.05, 0.3) * plan.active_s, self._say_unfit, n)

    def step(self) -> None:
        """The server is stopped, and somebody is forgotten."""
        if not self._world.server.stopped:
            self._world.server.stop()
            self._world.spawn(self._erase_one())

    async def _erase_one(self) -> None:
        world, random = self._world, self._random
        troubles = world.disks.take_troubles()
        await asyncio.sleep(random.uniform(0.05, 1.0))
        world.ledger.read()
        customers = world.ledger.customers()
        random.shuffle(customers)
        for customer in customers:
            if customer not in world.forgotten and await self._forget(customer):
                self._say_again(customer)
                self._say_mended(world.forgotten[customer])
                break
        world.disks.give_back(troubles)
        world.server.go_on()

    def _say_again(self, customer: str) -> None:
        """Sources send once more what came from them: they have not heard of the act."""
        world, random = self._world, self._random
        theirs = [offer.event for offer in world.book.offers if customer in self._whose(offer)]
        for event in random.sample(theirs, min(SAID_AGAIN, len(theirs))):
            world.loop.call_later(random.uniform(0.0, AGAIN_WITHIN_S), offered, world, event)

    def _say_unfit(self, n: int) -> None:
        """A source whose clock is far ahead."""
        world, account = self._world, self._unfit.choice(SOURCES)
        event = InboundEvent(
            id=f"unfit{n}",
            source="simulation",
            time_ms=world.now_ms() + 10**9,
            account=account,
            channel=account,
            identities=[self._unfit.choice(world.people)[account]],
            data=MessageArrived(text="fits nothing"),
        )
        offered(world, event)

    def _say_mended(self, person: Forgotten) -> None:
        """What their accounts kept of an address of theirs, since its time was wrong, is sent with the right one. One
        that was theirs by a merge alone is another's, who is not forgotten."""
        world, ledger = self._world, self._world.ledger
        addresses = set(_ever_linked(ledger.told(person.customer))) - ledger.owners.keys()
        for offer in [each for each in world.book.offers if each.event.id.startswith("unfit")]:
            lies = offer.place in ledger.quarantined and offer.key not in ledger.by_once
            lies = lies and person.emptied.isdisjoint(each.quarantine for each in ledger.quarantined[offer.place])
            if lies and offer.key not in person.unfit and not addresses.isdisjoint(offer.event.identities):
                person.unfit.add(offer.key)
                mended = msgspec.structs.replace(offer.event, time_ms=world.now_ms())
                world.trace("mended", id=mended.id)
                world.loop.call_later(AGAIN_WITHIN_S / 2, offered, world, mended)

    def _whose(self, offer: Offer) -> set[str]:
        ledger = self._world.ledger
        return {ledger.customer(stream) for stream, _ in ledger.by_once.get(offer.key, ())}

    async def _forget(self, customer: str) -> bool:
        """Until it is done, or refused: then nothing of them is gone."""
        world, random = self._world, self._random
        act = Act(customer=customer, actor="operator:root", reason="as they asked", at_ms=world.now_ms())
        dies_in_s = random.choice((WITHIN_S, WITHIN_S, random.uniform(0.0, DIES_WITHIN_S)))
        before: Forgotten | None = None
        while True:
            self._lives += 1
            life = Life("eraser", self._lives)
            try:
                with patch.object(files, "SqliteStorage", lambda _: EraserStorage(world.disks, life)):  # noqa: B023
                    async with asyncio.timeout(dies_in_s):
                        before = before or _known(world, customer)
                        await erasing.erase(world.settings, act, lambda at, head: None)
            except TimeoutError:
                assert dies_in_s < WITHIN_S, f"{customer} is not erased within {WITHIN_S} s"
                life.alive, dies_in_s = False, WITHIN_S
                world.trace("eraser_died", customer=customer)
                if random.random() < 0.5:
                    world.disks.lose_power()
            except Refusal as refusal:
                world.trace("erased", customer=customer, refused=int(refusal.code))
                return False
            else:
                world.ledger.read()
                world.trace("erased", customer=customer, life=self._lives)
                world.forgotten[customer] = before
                await erased.check_at_once(world, before)
                return True


def _ever_linked(events: Iterable[AnyEvent]) -> Iterator[str]:
    """The identities that were linked to the customer whose these are."""
    for event in events:
        match event:
            case IdentityLinked(identity=identity):
                yield identity
            case CustomerReturned(links=links):
                yield from (link.identity for link in links)
            case _:
                pass


def _known(world: "World", customer: str) -> Forgotten:
    """What is known of the customer, as the server lies there."""
    ledger = world.ledger
    own = [stream for stream in ledger.streams if ledger.customer(stream) == customer]
    words = {
        event.text.encode()
        for stream in own
        for event in ledger.streams[stream]
        if isinstance(event, MessageReceived | MessageQueued | NoteAdded) and event.text
    }
    others = [encoded for stream, encoded in ledger.encoded.items() if stream not in own]
    said_elsewhere = {text for text in words if any(text in each for events in others for each in events)}
    kept_at = ledger.kept_at.items()
    emptied = {id for id, places in kept_at if any(ledger.is_redacted(*place) for place in places)}
    return Forgotten(customer, ledger.position, words - said_elsewhere, list(ledger.records), emptied)
