"""Merging in the parts of a server: while events pour in, in both placements, on both stores, over restarts."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from actors.loading import reached
from orchestrator.parts.front import Front
from orchestrator.settings import Placement
from protocol.commands import LinkIdentity, MergeCustomers, UnmergeCustomers
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, MessageReceived
from protocol.ids import customer_of
from protocol.links import Answered, CustomerRead, ReadCustomer
from tests.orchestrator.test_inprocess import PLACEMENTS, arrival, server

ANN, BOB = "mailto:ann@example.org", "mailto:bob@example.org"
_event = msgspec.json.Decoder(AnyEvent).decode


class Talk:
    """Two who write without waiting for answers, each word once."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._number = 0
        self.asked: list[asyncio.Task[Answered]] = []

    async def say(self, seconds: float) -> None:
        """Both go on for so long."""
        until_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until_s:
            for identity in (ANN, BOB):
                self._number += 1
                event = arrival(f"{self._number}", id=f"w{self._number}", identity=identity)
                self.asked.append(asyncio.create_task(self._front.intake.submit(event)))
            await asyncio.sleep(0.002)

    async def heard(self) -> dict[str, list[int]]:
        """By identity: the words as they were committed, in the journal's order."""
        answers = await asyncio.gather(*self.asked)
        await reached(self._front.archive, max(answer.position for answer in answers))
        found: list[tuple[int, int, str, int]] = []
        for stream in {answer.stream for answer in answers}:
            for each in await self._front.archive.events_of_stream(stream, 0, 10_000):
                event = _event(each.body)
                if isinstance(event, MessageReceived) and event.text.isdigit():
                    found.append((each.position, each.n, event.identity, int(event.text)))
        words: dict[str, list[int]] = {ANN: [], BOB: []}
        for _, _, identity, word in sorted(found):
            words[identity].append(word)
        return words


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_nothing_is_lost_doubled_or_reordered_under_load(
    tmp_path: Path, store: str, placement: Placement
) -> None:
    """Two customers are merged and unmerged while both write; each word is there once, in the order it was said."""
    async with asyncio.timeout(60), server(tmp_path, store, placement) as (_, front):
        ann, bob = (
            await front.intake.submit(arrival("hi", identity=ANN)),
            await front.intake.submit(arrival("hi", identity=BOB)),
        )
        keeps, other = customer_of(bob.stream), customer_of(ann.stream)
        talk = Talk(front)
        talking = asyncio.create_task(talk.say(1.2))
        for id, command in (("m", MergeCustomers(other=other)), ("u", UnmergeCustomers(other=other))):
            await asyncio.sleep(0.3)
            await front.intake.command(actor="agent:ann", id=id, command=command, customer=keeps)
        await talking
        words = await talk.heard()
        assert words[ANN] == sorted(words[ANN])
        assert words[BOB] == sorted(words[BOB])
        assert sorted(words[ANN] + words[BOB]) == list(range(1, len(talk.asked) + 1))
        for customer, identity in ((other, ANN), (keeps, BOB)):
            reply = await front.cells.call(customer, lambda ref, c=customer: ReadCustomer(ref, c))  # type: ignore[misc]
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            assert reply.view.identities == [identity]
            found = {each.identity for view in reply.view.open for each in view.interactions}
            assert found <= {identity}


@pytest.mark.parametrize(
    ("placement", "name"), [(placement, name) for placement, parts in PLACEMENTS.items() for name in parts]
)
async def test_a_merge_goes_on_after_any_parts_death(tmp_path: Path, placement: Placement, name: str) -> None:
    """Whichever part is replaced right after it, the two are one, and can be two again."""
    async with asyncio.timeout(60), server(tmp_path, "sqlite", placement) as (running, front):
        ann = await front.intake.submit(arrival("hi", identity=ANN))
        bob = await front.intake.submit(arrival("hi", identity=BOB))
        keeps, other = customer_of(bob.stream), customer_of(ann.stream)
        merge = MergeCustomers(other=other)
        merging = asyncio.create_task(front.intake.command(actor="agent:ann", id="m", command=merge, customer=keeps))
        await asyncio.sleep(0.005)
        await running.restart(name)
        await merging
        assert await identities(front, other) == [ANN, BOB]
        unmerge = UnmergeCustomers(other=other)
        await front.intake.command(actor="agent:ann", id="u", command=unmerge, customer=keeps)
        await running.restart(name)
        assert (await identities(front, keeps), await identities(front, other)) == ([BOB], [ANN])


async def test_whose_identity_it_is_after_an_unmerge_is_not_decided_before_its_commit(tmp_path: Path) -> None:
    """Linked in the very turn in which its customer is given back, an identity is that customer's: so it is said, once
    the journal has the unmerge."""
    async with asyncio.timeout(30), server(tmp_path, "memory", "pooled") as (_, front):
        ann = await front.intake.submit(arrival("hi", identity=ANN))
        bob = await front.intake.submit(arrival("hi", identity=BOB))
        keeps, other = customer_of(bob.stream), customer_of(ann.stream)
        await front.intake.command(actor="agent:ann", id="m", command=MergeCustomers(other=other), customer=keeps)
        unmerge, link = UnmergeCustomers(other=other), LinkIdentity(identity=ANN)
        unmerged, linked = await asyncio.gather(
            front.intake.command(actor="agent:ann", id="u", command=unmerge, customer=keeps),
            front.intake.command(actor="agent:ann", id="l", command=link, customer=keeps),
            return_exceptions=True,
        )
        assert isinstance(unmerged, Answered)
        assert isinstance(linked, Refusal)
        assert linked.code is Code.IDENTITY_TAKEN
        assert (await identities(front, keeps), await identities(front, other)) == ([BOB], [ANN])


async def identities(front: Front, customer: str) -> list[str]:
    """What a machine reads."""
    reply = await front.cells.call(customer, lambda ref: ReadCustomer(ref, customer))
    assert isinstance(reply, CustomerRead)
    assert reply.view is not None
    return sorted(reply.view.identities)
