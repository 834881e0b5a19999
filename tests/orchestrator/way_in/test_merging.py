"""Merging: what is asked of the two customers' cells; and in the parts of a server, while events pour in, in both
placements, on both stores, over restarts."""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from actors.cells.loading import reached
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.parts.front import Front
from orchestrator.settings import Placement, Store
from orchestrator.way_in.merging import UNDER_WAY_MAX, ByRule, merge, unmerge
from protocol.commands import AddNote, AnyCommand, GiveCustomer, LinkIdentity, MergeCustomers, UnmergeCustomers
from protocol.entities import CustomerView
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, MessageReceived
from protocol.ids import customer_of
from protocol.journal import MergeDue
from protocol.links import (
    Answered,
    AnyToCell,
    Ask,
    CustomerRead,
    ListChanged,
    ReadCustomer,
    Refused,
    Settle,
    WatchList,
)
from tests.orchestrator.test_inprocess import PLACEMENTS, arrival, server

ANN, BOB = "mailto:ann@example.org", "mailto:bob@example.org"
KEEPS, OTHER = "cubob", "cuann"
_event = msgspec.json.Decoder(AnyEvent).decode


class Asked:
    """Cells that answer each kind of question with what the test says, and keep whom they were asked what."""

    def __init__(self, **replies: Reply) -> None:
        view = CustomerView(customer=KEEPS, identities=["tel:+447700900123", BOB, "mailto:bob@example.net"])
        self.replies: dict[str, Reply] = {
            "read": CustomerRead(1, view),
            "ask": Answered(1, "committed", OTHER, 7, 20),
            "settle": Answered(1, "committed", KEEPS, 9, 21),
            **replies,
        }
        self.asked: list[tuple[str, AnyToCell]] = []

    @property
    def cells(self) -> Cells:
        """As what they stand in for: a merge asks no more of it."""
        return cast(Cells, self)

    async def call(self, customer: str, make: Callable[[int], AnyToCell]) -> Reply:
        """Answers at once."""
        self.asked.append((customer, make(1)))
        return self.replies[{ReadCustomer: "read", Ask: "ask", Settle: "settle"}[type(self.asked[-1][1])]]

    def given(self) -> AnyCommand:
        """The command that was asked of a customer."""
        [command] = [question.command for _, question in self.asked if isinstance(question, Ask)]
        return command


def ask(of: str, command: AnyCommand) -> Callable[[int], AnyToCell]:
    """The intake's own way to ask a command, under its id."""
    return lambda ref: Ask(ref, of, "", "agent:al", "m", command, 1, 2)


DUE = MergeDue(KEEPS, OTHER, BOB, True, "match.mailto")


async def test_a_merge_is_given_by_the_one_and_then_taken_in_by_the_other() -> None:
    """Nothing is asked of who is merged before it is known that there is somebody to merge it into."""
    cells = Asked()
    await merge(cells.cells, KEEPS, MergeCustomers(other=OTHER, reason="same person"), ask)
    give = GiveCustomer(customer=OTHER, to=KEEPS, reason="same person")
    assert cells.asked == [
        (KEEPS, ReadCustomer(1, KEEPS)),
        (OTHER, ask(OTHER, give)(1)),
        (KEEPS, Settle(1, KEEPS, OTHER, 0)),
    ]


@pytest.mark.parametrize(
    ("settled", "position"),
    [
        pytest.param(Answered(1, "committed", KEEPS, 9, 21), 21, id="taken in after it was given"),
        pytest.param(Answered(1, "repeat", KEEPS, 9, 19), 20, id="taken in before this was asked again"),
        pytest.param(Refused(1, Code.NOT_ALLOWED_NOW, "given on"), 20, id="given on since"),
    ],
)
async def test_whoever_waits_for_a_merges_position_sees_both_halves(settled: Reply, position: int) -> None:
    """The answer is the give's, at the later of the two commits."""
    cells = Asked(settle=settled)
    answer = await merge(cells.cells, KEEPS, MergeCustomers(other=OTHER), ask)
    assert answer == Answered(1, "committed", OTHER, 7, position)


@pytest.mark.parametrize("verified", [True, False])
async def test_a_rule_gives_on_conditions_and_a_person_on_none(verified: bool) -> None:
    """Only where a rule says so may it be refused for what both have shown, or have one of each."""
    by_rule, by_hand = Asked(), Asked()
    due = msgspec.structs.replace(DUE, verified=verified)
    await merge(by_rule.cells, KEEPS, MergeCustomers(other=OTHER), ask, due)
    await merge(by_hand.cells, KEEPS, MergeCustomers(other=OTHER), ask)
    kinds = ["mailto", "tel"]
    assert by_rule.given() == GiveCustomer(customer=OTHER, to=KEEPS, identity=BOB, verified=verified, kinds=kinds)
    assert by_hand.given() == GiveCustomer(customer=OTHER, to=KEEPS)


@pytest.mark.parametrize(
    ("customer", "read", "code", "field", "asked"),
    [
        pytest.param(OTHER, None, Code.INVALID, "other", 0, id="into itself"),
        pytest.param(KEEPS, None, Code.NOT_FOUND, "customer", 1, id="into nobody"),
        pytest.param(
            "account:chat", CustomerView(customer="account:chat"), Code.NOT_FOUND, "customer", 1, id="into an account"
        ),
        pytest.param(
            "policy", CustomerView(customer="policy"), Code.NOT_FOUND, "customer", 1, id="into the policy's stream"
        ),
        pytest.param(
            KEEPS, CustomerView(customer="cueve"), Code.NOT_ALLOWED_NOW, "customer", 1, id="into one who was merged"
        ),
    ],
)
async def test_who_cannot_be_merged_into_is_refused_before_anything_is_given(
    customer: str, read: CustomerView | None, code: Code, field: str, asked: int
) -> None:
    """A give cannot be taken back by a refusal that comes after it."""
    cells = Asked(read=CustomerRead(1, read))
    with pytest.raises(Refusal) as refused:
        await merge(cells.cells, customer, MergeCustomers(other=OTHER), ask)
    assert (refused.value.code, refused.value.field, len(cells.asked)) == (code, field, asked)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda cells: merge(cells.cells, KEEPS, MergeCustomers(other=OTHER), ask),
        lambda cells: unmerge(cells.cells, KEEPS, UnmergeCustomers(other=OTHER), ask),
    ],
    ids=["merge", "unmerge"],
)
async def test_what_the_first_half_refuses_has_no_second_half(attempt: Callable[[Any], Awaitable[Answered]]) -> None:
    """Nothing was given or released, so nobody is to take anything in."""
    cells = Asked(ask=Refused(1, Code.NOT_ALLOWED_NOW, "no", "other"))
    with pytest.raises(Refusal) as refused:
        await attempt(cells)
    assert (refused.value.code, refused.value.field) == (Code.NOT_ALLOWED_NOW, "other")
    assert [question for _, question in cells.asked if isinstance(question, Settle)] == []


@pytest.mark.parametrize(
    "settled", [Answered(1, "committed", OTHER, 9, 21), Refused(1, Code.NOT_ALLOWED_NOW, "merged again")]
)
async def test_an_unmerge_is_released_by_the_one_and_then_had_again_by_the_other(settled: Reply) -> None:
    """Answered by the release, which is committed, whatever came of the other since."""
    cells = Asked(ask=Answered(1, "committed", KEEPS, 7, 20), settle=settled)
    command = UnmergeCustomers(other=OTHER)
    assert await unmerge(cells.cells, KEEPS, command, ask) == Answered(1, "committed", KEEPS, 7, 20)
    assert cells.asked == [
        (KEEPS, ask(KEEPS, command)(1)),
        (OTHER, Settle(1, OTHER, KEEPS, 0, back=True)),
    ]


class Rule:
    """A server's own merges, which end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Future[Answered]] = {}
        self.bugs: list[Exception] = []
        self.merges = ByRule(self._run, self.bugs.append)

    async def _run(self, due: MergeDue) -> Answered:
        self.begun.append(due.customer)
        self.ends[due.customer] = asyncio.get_running_loop().create_future()
        return await self.ends[due.customer]

    async def due(self, *customers: str) -> list[str]:
        """Says that these are due, and returns which of them were begun."""
        self.begun.clear()
        for customer in customers:
            self.merges.due(msgspec.structs.replace(DUE, customer=customer))
        await self._turn()
        return list(self.begun)

    async def end(self, customer: str, instead: Exception | None = None) -> None:
        """This one is merged; or it is refused, or meets a bug."""
        if instead is None:
            self.ends[customer].set_result(Answered(1, "committed", customer, 1, 1))
        else:
            self.ends[customer].set_exception(instead)
        await self._turn()

    async def _turn(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize("refusal", [None, Refusal(Code.NOT_ALLOWED_NOW, "a person has to say it")])
async def test_a_customer_is_merged_by_rule_once_at_a_time(refusal: Refusal | None) -> None:
    """Each of its events says it again while it is under way, and may after it has ended, however it did."""
    rule = Rule()
    assert await rule.due("cu1", "cu1", "cu2") == ["cu1", "cu2"]
    assert await rule.due("cu1") == []
    await rule.end("cu1", refusal)
    assert await rule.due("cu1", "cu2") == ["cu1"]
    await rule.end("cu1")
    await rule.end("cu2")


async def test_a_bug_in_a_merge_by_rule_breaks_the_gateway() -> None:
    """A refusal does not: it is the journal's or a cell's word, and is said again."""
    rule, bug = Rule(), ValueError("a bug")
    await rule.due("cu1", "cu2")
    await rule.end("cu1", Refusal(Code.NOT_ALLOWED_NOW, "a person has to say it"))
    assert rule.bugs == []
    await rule.end("cu2", bug)
    assert rule.bugs == [bug]


async def test_no_more_customers_are_merged_by_rule_than_the_bound_says() -> None:
    """The others have to be said again when there is room."""
    rule = Rule()
    customers = [f"cu{n}" for n in range(UNDER_WAY_MAX + 1)]
    assert await rule.due(*customers) == customers[:-1]
    await rule.end("cu0")
    assert await rule.due(customers[-1]) == [customers[-1]]
    for customer in customers[1:]:
        await rule.end(customer)


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
    tmp_path: Path, store: Store, placement: Placement
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
            reply = await front.cells.call(customer, partial(ReadCustomer, customer=customer))
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


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_who_lists_a_customer_hears_that_its_conversations_are_anothers(
    tmp_path: Path, placement: Placement
) -> None:
    """And that they are its own again: each stands in the list of one of the two."""
    async with asyncio.timeout(30), server(tmp_path, "memory", placement) as (_, front):
        ann = await front.intake.submit(arrival("hi", identity=ANN))
        bob = await front.intake.submit(arrival("hi", identity=BOB))
        keeps, other = customer_of(bob.stream), customer_of(ann.stream)
        lists: dict[str, set[str]] = {f"customer:{keeps}": {bob.stream}, f"customer:{other}": {ann.stream}}
        changed = asyncio.Event()

        def hear(told: ListChanged) -> None:
            for name in told.lists:
                lists[name].add(told.row.conversation)
            for name in told.left:
                lists[name].discard(told.row.conversation)
            changed.set()

        front.cells.on_list_changed = hear
        for cell, name in itertools.product(front.cells.indexes, lists):
            front.cells.ask_cell(cell, functools.partial(WatchList, list=name), lambda reply: None)
        for id, command, theirs in (
            ("m", MergeCustomers(other=other), set()),
            ("u", UnmergeCustomers(other=other), {ann.stream}),
        ):
            await front.intake.command(actor="agent:ann", id=id, command=command, customer=keeps)
            both = {bob.stream, ann.stream}
            while lists != {f"customer:{keeps}": both - theirs, f"customer:{other}": theirs}:
                changed.clear()
                await changed.wait()


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


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_conversation_taken_for_a_customer_is_refused(tmp_path: Path, placement: Placement) -> None:
    """The wrong id is soon copied. What a conversation's stream holds is no customer's: who takes it for one breaks."""
    async with server(tmp_path, "memory", placement) as (_, front):
        ann, bob = [await front.intake.submit(arrival(identity=who)) for who in (ANN, BOB)]
        await reached(front.archive, bob.position)
        asked: list[tuple[str, AnyCommand]] = [
            (customer_of(bob.stream), MergeCustomers(other=ann.stream)),
            (ann.stream, MergeCustomers(other=customer_of(bob.stream))),
            (ann.stream, LinkIdentity(identity="user:cid", evidence="agent")),
        ]
        for number, (customer, command) in enumerate(asked):
            with pytest.raises(Refusal, match=f"no customer {ann.stream}") as refused:
                await front.intake.command(actor="agent:al", id=f"m{number}", customer=customer, command=command)
            assert refused.value.code == Code.NOT_FOUND
        for strange in ("", "mailto:ann@example.org", "-1", f"{ann.stream}-1"):
            with pytest.raises(Refusal, match=r"no (customer|conversation)") as refused:
                await front.intake.command(
                    actor="agent:al", id=f"n{strange}", conversation=strange, command=AddNote(text="x")
                )
            assert refused.value.code == Code.NOT_FOUND
