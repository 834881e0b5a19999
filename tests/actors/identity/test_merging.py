"""Merging through the real journal, cells and intake: one person before, two behind, nothing lost on the way."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import pytest

from actors.archive.archive import rebuild
from actors.cells import remains
from actors.cells.loading import reached
from actors.context import carrying
from actors.identity import merging
from actors.identity.disputes import Disputes
from actors.identity.members import Family, Member
from actors.inbound.relating import Past
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import CarryRules, ContextRules
from actors.rules.identity import IdentityRules, MatchRule
from actors.state.closing import CLOSED_MAX
from actors.state.conversation import Conversation
from actors.state.evolving import evolve as evolve_conversation
from actors.state.interactions import INTERACTIONS_MAX
from actors.state.journey import Aside, Journey, evolve
from adapters.stores.archive import schema as archive_schema
from adapters.stores.archive.memory import MemoryArchive
from protocol.commands import (
    AddNote,
    BeginReplay,
    EndReplay,
    GiveCustomer,
    Join,
    LinkIdentity,
    MarkReplayed,
    MergeCustomers,
    OfferHandoff,
    Relate,
    Reply,
    Resolve,
    Snooze,
    Split,
    Take,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.commands.quarantine import form_of
from protocol.entities import IdentityLink, Interaction, Relation, RelationKind, Status, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    ContextSet,
    ContextWithdrawn,
    ConversationOpened,
    CorrelationCorrected,
    CustomerErased,
    CustomerGiven,
    CustomerMerged,
    CustomerReleased,
    CustomerReturned,
)
from protocol.ids import customer_of
from protocol.inbound import GivenContext, InteractionStopped
from protocol.journal import Unsettled
from protocol.links import Answered, CustomerRead, ReadCustomer, WatchConversation, Watched
from protocol.shards import SHARDS
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names
from tests.actors.world import World, world


async def say(made: World, id: str, *identities: str) -> Answered:
    """A word in the chat."""
    return await made.intake.submit(made.event(id=id, account="chat", identities=identities))


async def merge(made: World, keeps: str, other: str, id: str = "m1") -> Answered:
    """An agent's word that they are one."""
    return await made.intake.command(actor="agent:ann", id=id, customer=keeps, command=MergeCustomers(other=other))


async def unmerge(made: World, keeps: str, other: str, id: str = "u1") -> Answered:
    """And that they are not."""
    return await made.intake.command(actor="agent:ann", id=id, customer=keeps, command=UnmergeCustomers(other=other))


async def known(made: World, customer: str) -> tuple[Sequence[str], Sequence[str]]:
    """The customer's identities and open conversations, as a machine reads them."""
    reply = await made.cells.call(customer, lambda ref: ReadCustomer(ref, customer))
    assert isinstance(reply, CustomerRead)
    assert reply.view is not None
    return sorted(reply.view.identities), sorted(view.conversation for view in reply.view.open)


async def two(made: World) -> tuple[str, str, Answered, Answered]:
    """Two customers, each with a conversation."""
    a, b = await say(made, "a1", "chat:a"), await say(made, "b1", "chat:b")
    return customer_of(a.stream), customer_of(b.stream), a, b


async def test_a_merged_customer_is_one_with_the_other() -> None:
    """Their conversations and identities are the other's, and what comes next is decided there, in the old streams."""
    async with world() as made:
        a, b, first, _ = await two(made)
        merged = await merge(made, b, a)
        assert merged.stream == a, "the first fact of it is the give"
        assert await known(made, b) == (["chat:a", "chat:b"], sorted([f"{a}-1", f"{b}-1"]))
        assert await known(made, a) == await known(made, b)
        again = await say(made, "a1", "chat:a")
        assert (again.status, again.stream, again.seq) == ("repeat", first.stream, first.seq)
        note = await made.intake.command(
            actor="agent:ann", id="n1", conversation=first.stream, command=AddNote(text="one person")
        )
        assert note.stream == first.stream
        assert (await merge(made, b, a)).status == "repeat"
        assert customer_of((await say(made, "a2", "chat:a")).stream) in (a, b)


async def test_an_unmerged_customer_has_its_own_again() -> None:
    """Each has what it had, with what came meanwhile, and repeats are known wherever their identity is now."""
    async with world() as made:
        a, b, first, second = await two(made)
        await merge(made, b, a)
        meanwhile = [await say(made, "a2", "chat:a"), await say(made, "b2", "chat:b")]
        await unmerge(made, b, a)
        for id, identity, before in (
            ("a1", "chat:a", first),
            ("b1", "chat:b", second),
            ("a2", "chat:a", meanwhile[0]),
            ("b2", "chat:b", meanwhile[1]),
        ):
            again = await say(made, id, identity)
            assert (again.status, again.stream, again.seq) == ("repeat", before.stream, before.seq), id
        assert (await known(made, a))[0] == ["chat:a"]
        assert (await known(made, b))[0] == ["chat:b"]
        assert customer_of((await say(made, "a3", "chat:a")).stream) == a
        assert customer_of((await say(made, "b3", "chat:b")).stream) == b


async def test_what_came_while_they_were_one_is_known_though_the_clock_was_set_back() -> None:
    """A release tells who leaves of the keys that came after the merge, whatever the time was then; also of those that
    had their effect in the other one's conversation."""
    async with world() as made:
        a = customer_of((await say(made, "a1", "chat:a", "user:a")).stream)
        made.now_ms += 60_000
        b = customer_of((await say(made, "b1", "chat:b")).stream)
        made.now_ms += 60_000
        await merge(made, b, a)
        made.now_ms -= 20 * 60_000
        meanwhile = await made.intake.submit(made.event(id="a2", account="sms", identities=("user:a",)))
        assert customer_of(meanwhile.stream) == b
        await unmerge(made, b, a)
        again = await made.intake.submit(made.event(id="a2", account="sms", identities=("user:a",)))
        assert (again.status, again.stream, again.seq) == ("repeat", meanwhile.stream, meanwhile.seq)


async def inherited(made: World) -> tuple[str, str, Answered]:
    """A customer, who has its identity from it now, and what was said before that."""
    first = await say(made, "a1", "chat:a")
    a = customer_of(first.stream)
    unlink = UnlinkIdentity(identity="chat:a")
    await made.intake.command(actor="agent:ann", id="x1", customer=a, command=unlink)
    made.now_ms += 10_000
    heir = customer_of((await say(made, "a2", "chat:a")).stream)
    assert heir != a
    return a, heir, first


async def test_what_an_heir_knows_of_a_former_customer_outlasts_a_merge_with_it() -> None:
    """A release tells of the keys since the merge only; those from before it were known already."""
    async with world() as made:
        a, heir, first = await inherited(made)
        await merge(made, heir, a)
        await unmerge(made, heir, a)
        again = await say(made, "a1", "chat:a")
        assert (again.status, again.stream, again.seq) == ("repeat", first.stream, first.seq)


async def test_what_an_heir_knows_of_a_former_customer_outlasts_a_large_familys_stay() -> None:
    """Each member that leaves is one more whose keys are known; together they crowd nobody out."""
    async with world() as made:
        _, heir, first = await inherited(made)
        members = [customer_of((await say(made, f"m{n}", f"chat:m{n}")).stream) for n in range(12)]
        for n, member in enumerate(members[1:]):
            await merge(made, members[0], member, f"m{n}")
        await merge(made, heir, members[0], "all")
        await unmerge(made, heir, members[0])
        again = await say(made, "a1", "chat:a")
        assert (again.status, again.stream, again.seq) == ("repeat", first.stream, first.seq)


@pytest.mark.parametrize("killed", [0, 1, None])
async def test_a_cells_death_changes_nothing(killed: int | None) -> None:
    """Each step is found again in the stores, by whichever cell comes next."""
    async with world() as made:
        a, b, first, _ = await two(made)

        async def again() -> None:
            for index in (0, 1) if killed is None else (killed,):
                made.kill_cell(index)
                await made.start_cell(index)

        await merge(made, b, a)
        one = await known(made, b)
        await again()
        assert await known(made, b) == one
        await say(made, "a2", "chat:a")
        await unmerge(made, b, a)
        both = await known(made, a), await known(made, b)
        await again()
        assert (await known(made, a), await known(made, b)) == both
        assert (await say(made, "a1", "chat:a")).seq == first.seq


async def test_watchers_see_a_conversation_go_on_across_a_merge() -> None:
    """No event is missed or shown twice: the gateway asks again where the conversation is by then."""
    async with world() as made:
        a, b, first, _ = await two(made)
        watched = await made.cells.call(a, lambda ref: WatchConversation(ref, a, first.stream, -1))
        assert isinstance(watched, Watched)
        moved: list[str] = []
        made.cells.on_moved = moved.append
        await merge(made, b, a)
        await say(made, "a2", "chat:a")
        assert a in moved
        after = await made.cells.call(a, lambda ref: WatchConversation(ref, a, first.stream, watched.head))
        assert isinstance(after, Watched)
        assert after.view is None
        assert after.head == watched.head + len(after.events)


async def test_what_may_not_be_merged_is_refused() -> None:
    """Nobody is merged into themselves, into nobody, twice, or in a circle; nor taken out of whom they are not in."""
    async with world() as made:
        a, b, *_ = await two(made)
        await merge(made, b, a)
        for keeps, other, code in (
            (b, b, Code.INVALID),
            ("cunobody", a, Code.NOT_FOUND),
            (b, "cunobody", Code.NOT_FOUND),
            (b, a, Code.NOT_ALLOWED_NOW),
            (a, b, Code.NOT_ALLOWED_NOW),
        ):
            with pytest.raises(Refusal) as refused:
                await merge(made, keeps, other, id=f"{keeps}/{other}")
            assert refused.value.code == code, (keeps, other, refused.value.message)
        with pytest.raises(Refusal):
            await unmerge(made, a, b)


async def test_two_merges_of_the_same_two_make_one() -> None:
    """Whichever comes first, and the other is told."""
    async with world() as made:
        a, b, *_ = await two(made)
        both = await asyncio.gather(merge(made, b, a, "m1"), merge(made, a, b, "m2"), return_exceptions=True)
        assert sum(isinstance(each, Answered) for each in both) == 1, both
        assert await known(made, a) == await known(made, b)


TABLES = ("conversation", "interaction", "identity", "timer", "outbox", "work", "context_item", "moved", "relation")
"""What a merge changes hands, and what it must not touch."""


async def rows(made: World, table: str) -> list[tuple[object, ...]]:
    """A table's rows without the position that they follow from."""
    info = made.archive_store._opened().db.execute("SELECT name FROM pragma_table_info(?)", (table,))
    place = [name for (name,) in info].index("position")
    return [(*row[:place], *row[place + 1 :]) for row in await made.archive_store.rows(table)]


async def test_after_merge_and_unmerge_the_projections_are_what_they_were() -> None:
    """All tables, where nothing came in between; in between they name the other customer."""
    async with world() as made:
        a, b, first, _ = await two(made)
        await say(made, "a2", "chat:a", "tel:+447700900123")
        await made.intake.command(actor="agent:ann", id="r1", conversation=first.stream, command=Reply(text="hello"))
        until = await made.intake.command(
            actor="agent:ann", id="s1", conversation=first.stream, command=Snooze(until_ms=made.now_ms + 10_000)
        )
        await reached(made.archive_store, until.position)
        before = {table: await rows(made, table) for table in TABLES}
        merged = await merge(made, b, a)
        await reached(made.archive_store, merged.position)
        for table in ("conversation", "identity", "timer", "outbox"):
            assert a not in {value for row in await rows(made, table) for value in row}, table
        due = await made.archive_store.due(list(range(SHARDS)), 10**15, 10)
        assert [each.customer for each in due] == [b]
        released = await unmerge(made, b, a)
        await reached(made.archive_store, released.position)
        for table in TABLES:
            assert await rows(made, table) == before[table], table


async def test_a_rebuilt_archive_has_the_same_rows() -> None:
    """Merges change rows of many records at once; in whatever batches they are read, the outcome is one."""
    async with world() as made:
        a, b, *_ = await two(made)
        await merge(made, b, a)
        await say(made, "a2", "chat:a")
        await unmerge(made, b, a)
        last = await say(made, "a3", "chat:a")
        await merge(made, a, b, "m2")
        last = await say(made, "b2", "chat:b")
        await reached(made.archive_store, last.position)
        anew = MemoryArchive()
        await anew.open()
        await rebuild(made.journal_store, anew, lambda at, head: None)
        for table in archive_schema.TABLES:
            assert await anew.rows(table) == await made.archive_store.rows(table), table


async def test_what_a_contact_came_without_leaves_with_it() -> None:
    """It was noted in the other one's conversation while they were one: it is theirs whose contact it was, there and in
    an archive that is made anew."""
    wanted = Template(channel="app", fields=(Field(name="meter", when_missing="ask_agent"), Field(name="topic")))
    policy = msgspec.structs.replace(POLICY, capture=CaptureRules(templates=(wanted,)))
    async with world(policy=policy) as made:
        a, b, *_ = await two(made)
        await merge(made, b, a)
        # The newest open conversation takes both, whosever it was.
        mixed = (await say(made, "b2", "chat:b")).stream
        stranger, identity = (b, "chat:b") if customer_of(mixed) == a else (a, "chat:a")
        assert (await made.intake.submit(made.event(account="app", identities=(identity,)))).stream == mixed
        released = await unmerge(made, b, a)
        assert [(await missing(made, customer)) for customer in (customer_of(mixed), stranger)] == [[], ["meter"]]
        await reached(made.archive_store, released.position)
        ((conversation, _, field, *_),) = await made.archive_store.rows("missing_field")
        assert (customer_of(str(conversation)), field) == (stranger, "meter")
        anew = MemoryArchive()
        await anew.open()
        await rebuild(made.journal_store, anew, lambda at, head: None)
        assert await anew.rows("missing_field") == await made.archive_store.rows("missing_field")


async def test_what_is_linked_again_stays_with_whom_it_was_linked_to() -> None:
    """An agent says of a member's address that it is not theirs, and in the same moment that it is: they are one, so
    it is the customer's own. Once they are two again, it is so in the store as in memory."""
    async with world() as made:
        a, b, *_ = await two(made)
        await merge(made, a, b)
        off, on = UnlinkIdentity(identity="chat:b"), LinkIdentity(identity="chat:b")
        ask = partial(made.intake.command, actor="agent:ann", customer=a)
        await asyncio.gather(ask(id="off", command=off), ask(id="on", command=on))
        await unmerge(made, a, b)
        async with asyncio.timeout(5):
            said = await say(made, "b2", "chat:b")
        assert customer_of(said.stream) == a
        assert (await known(made, a))[0] == ["chat:a", "chat:b"]


async def missing(made: World, customer: str) -> list[str]:
    """The fields that an agent is told to ask the customer for."""
    reply = await made.cells.call(customer, lambda ref: ReadCustomer(ref, customer))
    assert isinstance(reply, CustomerRead)
    assert reply.view is not None
    return [gap.field for view in reply.view.open for gap in view.missing]


async def test_a_snoozed_conversation_of_a_member_wakes_in_time() -> None:
    """Its timer is the other's, also where that one has left memory."""
    async with world() as made:
        a, b, first, _ = await two(made)
        await made.intake.command(
            actor="agent:ann", id="s1", conversation=first.stream, command=Snooze(until_ms=made.now_ms + 10_000)
        )
        await merge(made, b, a)
        made.now_ms += 11_000
        for cell in made.cell_actors:
            assert cell is not None
            cell.tick(made.now_ms)
        async with asyncio.timeout(5):
            while (await events_of(made, first.stream))[-1] != "ConversationWoken":  # noqa: ASYNC110 - of two actors away
                await asyncio.sleep(0.01)


async def events_of(made: World, stream: str) -> list[str]:
    """The types of a stream's events in the archive."""
    events = await made.archive_store.events_of_stream(stream, 0, 1000)
    return [msgspec.json.decode(event.body)["type"] for event in events]


async def test_what_became_mixed_is_taken_apart_by_its_identities() -> None:
    """A contact of one in the other's conversation goes to a new one of its own, with what was said in it."""
    async with world() as made:
        a, b, *_ = await two(made)
        await merge(made, b, a)
        # The newest open conversation takes both, whosever it was.
        both = [await say(made, "a2", "chat:a"), await say(made, "b2", "chat:b"), await say(made, "a3", "chat:a")]
        await unmerge(made, b, a)
        for customer, identity in ((a, "chat:a"), (b, "chat:b")):
            reply = await made.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            found = {i.identity for view in reply.view.open for i in view.interactions}
            assert found == {identity}, customer
            assert {customer_of(view.conversation) for view in reply.view.open} == {customer}
        assert both


@pytest.mark.parametrize("since", [True, False])
@pytest.mark.parametrize("set_by_ms", [-500_000, 0, 500_000])
def test_what_closed_mixed_is_taken_apart_whatever_the_clock_said(since: bool, set_by_ms: int) -> None:
    """What was over before the merge is history, and stays; what is over since is not."""
    player, other = Player(), Journey(customer="anns", head=2)
    player.message(channel="chat", identities=("chat:ann", "chat:ben"))
    player.message(channel="chat", identities=("chat:ben",))
    # That one is the other's by the time of the merge.
    other.links, player.state.links = player.state.links[1:], player.state.links[:1]

    def close() -> None:
        player.command(Resolve())
        player.pass_time(POLICY.close_after_resolved_ms)

    if not since:
        close()
    # The clock is set between the two.
    player.now_ms += set_by_ms
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ben"]
    )
    evolve(player.state, CUSTOMER, merged, b"", other)
    if since:
        player.now_ms += set_by_ms
        close()
    conversation = player.state.conversation(CONVERSATION)
    assert conversation is not None
    assert (conversation.status, conversation.interaction_count) == (Status.CLOSED, 2)
    happened = player.command(UnmergeCustomers(other="anns"), conversation="")
    assert ("InteractionMoved" in names(happened)) == since


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_taken_apart_stands_as_it_stood(status: Status, whole: bool) -> None:
    """With the agent who had it, whether all of a conversation leaves or a part; nothing that is over is work again."""
    player, other = Player(), Journey(customer="anns")
    player.message(channel="chat", identities=("chat:ann", "chat:ben"))
    player.message(channel="chat", identities=("chat:ben",), session="s")
    if whole:
        player.command(Split(interactions=[2]))
    mixed = f"{CUSTOMER}-2" if whole else CONVERSATION
    other.links, player.state.links = player.state.links[1:], player.state.links[:1]
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ben"]
    )
    evolve(player.state, CUSTOMER, merged, b"", other)
    player.command(Take(), conversation=mixed)
    wake_at_ms = player.now_ms + 70_000
    if status is Status.SNOOZED:
        player.command(Snooze(until_ms=wake_at_ms), conversation=mixed)
    elif status is not Status.OPEN:
        player.command(Resolve(), conversation=mixed)
        player.pass_time(POLICY.close_after_resolved_ms if status is Status.CLOSED else 1)
    before = player.state.conversations[mixed]
    due_ms, resolved_at_ms = (before.wake_at_ms, before.close_at_ms), before.resolved_at_ms
    assert (resolved_at_ms > 0) == (status in (Status.RESOLVED, Status.CLOSED))
    player.now_ms += 5
    player.command(UnmergeCustomers(other="anns"), conversation="")
    apart = Conversation(id="anns-1", customer="anns")
    for stream, event in player.decision.events:
        if stream == apart.id:
            evolve_conversation(apart, event, msgspec.msgpack.encode(event))
    assert [each.identity for each in apart.interactions] == ["chat:ben"]
    assert (apart.status, apart.owner, (apart.wake_at_ms, apart.close_at_ms)) == (status, "ann", due_ms)
    assert apart.resolved_at_ms == resolved_at_ms, "who is back is back since then"
    assert player.state.conversations[mixed].live == (status is not Status.CLOSED and not whole)


@pytest.mark.parametrize("first", ["chat:ann", "chat:ben"])
def test_each_has_their_own_word_again_where_they_are_two(first: str) -> None:
    """What the one said took the place of what the other had said on the same channel: it is another's contract."""
    player, other = Player(), Journey(customer="anns")
    player.message(channel="chat", identities=("chat:ann", "chat:ben"), session="s0")
    player.give(player.input(InteractionStopped(session="s0"), channel="chat", identities=("chat:ann",)))
    other.links, player.state.links = player.state.links[1:], player.state.links[:1]
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ben"]
    )
    evolve(player.state, CUSTOMER, merged, b"", other)
    second = "chat:ben" if first == "chat:ann" else "chat:ann"
    for identity, more in ((first, {"name": "x"}), (second, {})):
        player.now_ms += 1
        player.message(channel="chat", identities=(identity,), session=identity, context={"contract": identity, **more})
        player.give(player.input(InteractionStopped(session=identity), channel="chat", identities=(identity,)))
    player.command(UnmergeCustomers(other="anns"), conversation="")
    apart = Conversation(id="anns-1", customer="anns")
    for stream, event in player.decision.events:
        if stream == apart.id:
            evolve_conversation(apart, event, msgspec.msgpack.encode(event))
    stays = player.state.conversations[CONVERSATION]
    assert (stays.context["contract"].value, apart.context["contract"].value) == ("chat:ann", "chat:ben")
    assert ("name" in stays.context, "name" in apart.context) == (first == "chat:ann", first == "chat:ben")


def test_what_has_yet_to_send_when_all_has_left_is_done_since_it_was() -> None:
    """It closes as soon as that has left; the message is not the customer's being back."""
    player, other = Player(), Journey(customer="anns")
    player.message(channel="chat", identities=("chat:ann", "chat:ben"))
    player.message(channel="chat", identities=("chat:ben",), session="s")
    player.command(Split(interactions=[2]))
    other.links, player.state.links = player.state.links[1:], player.state.links[:1]
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ben"]
    )
    evolve(player.state, CUSTOMER, merged, b"", other)
    emptied = f"{CUSTOMER}-2"
    player.command(Reply(text="done"), conversation=emptied)
    player.command(Resolve(), conversation=emptied)
    resolved_at_ms = player.now_ms
    player.now_ms += 5
    left = player.state.conversations[emptied]
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert (left.interactions, left.status, left.close_at_ms) == ((), Status.RESOLVED, player.now_ms)
    assert left.resolved_at_ms == resolved_at_ms


def test_all_that_is_over_is_taken_apart_in_whatever_order_it_closed() -> None:
    """What closes by the taking apart makes memory forget what closed first: after that was taken apart."""
    player, other = Player(), Journey(customer="anns")
    ids = [f"{CUSTOMER}-{number}" for number in range(1, CLOSED_MAX + 1)]
    other.links = (IdentityLink(identity="chat:ben", evidence="first_contact", at_ms=1),)
    player.state.links = (IdentityLink(identity="chat:ann", evidence="first_contact", at_ms=1),)
    player.state.opened = CLOSED_MAX
    merged = CustomerMerged(at_ms=1, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ben"])
    evolve(player.state, CUSTOMER, merged, b"", other)
    player.state.kept = tuple(
        Conversation(
            id=id,
            customer=CUSTOMER,
            head=9,
            opened_at_ms=1,
            status=Status.CLOSED,
            interactions=tuple(
                Interaction(number=number, channel="chat", account="chat", identity=identity, ended_at_ms=2)
                for number, identity in ((1, "chat:ann"), (2, "chat:ben"))
            ),
            interaction_count=2,
        )
        for id in ids
    )
    player.state.past = tuple(reversed(ids))
    happened = player.command(UnmergeCustomers(other="anns"), conversation="")
    assert names(happened).count("InteractionMoved") == names(happened).count("ConversationClosed") == CLOSED_MAX
    assert player.state.past == tuple(reversed(ids))


def test_what_was_over_with_a_later_member_is_history_to_an_earlier_one() -> None:
    """What it brought had happened before, however the one that leaves is called in it."""
    player, ben, cid = Player(), Journey(customer="bens", head=2), Player()
    player.message(channel="chat", identities=("chat:ann", "chat:ben"))
    ben.links, player.state.links = player.state.links[1:], player.state.links[:1]
    cid.message(channel="chat", identities=("chat:ben",))
    cid.command(Resolve())
    cid.pass_time(POLICY.close_after_resolved_ms)
    over = cid.state.conversation(CONVERSATION)
    assert over is not None
    over.id = "cids-1"
    cid.state.customer, cid.state.links = "cids", ()
    for turn, other in ((1, ben), (2, cid.state)):
        ids = [link.identity for link in other.links]
        name = other.customer
        merged = CustomerMerged(
            at_ms=player.now_ms, other=name, turn=turn, given_at=turn, members=[name], identities=ids
        )
        evolve(player.state, CUSTOMER, merged, b"", other)
    happened = player.command(UnmergeCustomers(other="bens"), id="unmerge", conversation="")
    assert "CustomerReleased" in names(happened)
    assert "InteractionMoved" not in names(happened)
    assert [each.head for each in player.state.kept if each.id == "cids-1"] == [over.head]


def test_what_the_one_has_is_related_to_nothing_of_the_other_any_more() -> None:
    """Either way round; what is related to their own stays so. It counts as nothing that correlation did wrongly."""
    player, ann = Player(), Player()
    for each in (player, ann):
        identity = "chat:ben" if each is player else "chat:ann"
        for _ in range(3):
            each.message(channel="chat", identities=(identity,))
            each.command(Resolve(), conversation=each.state.kept[-1].id)
            each.pass_time(POLICY.close_after_resolved_ms)
    for conversation in ann.state.kept:
        conversation.id, conversation.relation = conversation.id.replace(CUSTOMER, "anns"), None
        assert conversation.work is not None
        conversation.work.carried = None
    ann.state.customer, ann.state.past = "anns", tuple(id.replace(CUSTOMER, "anns") for id in ann.state.past)
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ann"]
    )
    evolve(player.state, CUSTOMER, merged, b"", ann.state)
    second, third = f"{CUSTOMER}-2", f"{CUSTOMER}-3"
    player.command(Relate(kind=RelationKind.REPEATS, earlier="anns-1"), conversation=CONVERSATION)
    player.command(Relate(kind=RelationKind.CONTINUES, earlier=third), conversation="anns-2")
    kept = player.state.conversations[third].relation
    assert kept is not None
    assert kept.conversation == second
    player.command(UnmergeCustomers(other="anns"), conversation="")
    parted = [(stream, e) for stream, e in player.decision.events if isinstance(e, CorrelationCorrected)]
    assert [(stream, e.correction, e.other, e.relation) for stream, e in parted] == [
        ("anns-2", "unmerge", third, None),
        (CONVERSATION, "unmerge", "anns-1", None),
    ]
    assert player.state.conversations[CONVERSATION].relation is None
    assert player.state.conversations[third].relation == kept


@pytest.mark.parametrize("also", [True, False])
def test_what_was_carried_over_from_the_other_is_not_known_any_more(also: bool) -> None:
    """One person's contract is not shown at another's conversation; what they said themselves stands again."""
    player, other = Player(), Journey(customer="anns")
    own: GivenContext = {"contract": "B2222"} if also else {}
    player.message(channel="email", identities=("mailto:ben@example.org",), context=own or None)
    merged = CustomerMerged(at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=[])
    evolve(player.state, CUSTOMER, merged, b"", other)
    for key, came_from in (("contract", "anns-1"), ("reason", f"{CUSTOMER}-9")):
        took = ContextSet(
            at_ms=player.now_ms,
            actor="customer",
            key=key,
            value="theirs",
            channel="chat",
            version=2,
            came_from=came_from,
        )
        evolve(player.state, CONVERSATION, took, msgspec.msgpack.encode(took))
    state = player.state.conversations[CONVERSATION]
    assert state.context["contract"].value == "theirs"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert {key: item.value for key, item in state.context.items()} == {**own, "reason": "theirs"}
    assert not any(item.others for item in state.context.values())


def _apart() -> Player:
    """Ben's customer, of whom Ann's is a member: both have been there before, and that is over."""
    carrying_all = ContextRules(carry_over=CarryRules(within_ms=10**9))
    player, other = Player(msgspec.structs.replace(POLICY, context=carrying_all)), Journey(customer="anns")
    player.message(channel="chat", identities=("chat:ben", "chat:ann"))
    _over(player)
    other.links, player.state.links = player.state.links[1:], player.state.links[:1]
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=["chat:ann"]
    )
    evolve(player.state, CUSTOMER, merged, b"", other)
    return player


def _over(player: Player) -> None:
    """What is open is done, and closes."""
    for each in player.state.kept:
        if each.live:
            player.command(Resolve(), conversation=each.id)
    player.pass_time(POLICY.close_after_resolved_ms)


def _known_of_ann(player: Player) -> dict[str, dict[str, object]]:
    """By conversation of Ann's that the last decision opened: what is known in it."""
    found: dict[str, Conversation] = {}
    for stream, event in player.decision.events:
        if stream.startswith("anns-"):
            apart = found.setdefault(stream, Conversation(id=stream, customer="anns"))
            evolve_conversation(apart, event, msgspec.msgpack.encode(event))
    return {id: {key: item.value for key, item in each.context.items()} for id, each in found.items()}


def test_nothing_comes_along_from_a_conversation_that_turns_out_to_be_all_the_others() -> None:
    """Its id is of the customer who keeps the next one, who begins with nothing of what the other said in it."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ann",), session="ann", context={"contract": "B2222"})
    _over(player)
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert _known_of_ann(player) == {"anns-1": {"contract": "B2222"}}
    withdrawn = [event for _, event in player.decision.events if isinstance(event, ContextWithdrawn)]
    assert [(event.key, event.came_from) for event in withdrawn] == [("contract", "anns-1")]
    player.message(channel="chat", identities=("chat:ben",), session="ben")
    later = player.state.kept[-1]
    assert (later.context, later.relation and later.relation.conversation) == ({}, CONVERSATION)
    assert later.work is not None
    assert later.work.carried is not None
    assert later.work.carried.conversation == CONVERSATION


def test_what_had_come_along_for_the_contacts_that_go_goes_with_them() -> None:
    """Nobody asks again for what was said in an earlier contact; a newer word stands all the same."""
    player = _apart()
    said: GivenContext = {"contract": "B2222", "meter": "M1"}
    player.message(channel="chat", identities=("chat:ann",), session="first", context=said)
    _over(player)
    player.message(channel="chat", identities=("chat:ann",), session="second", context={"meter": "M2"})
    assert player.state.kept[-1].context["contract"].came_from == f"{CUSTOMER}-2"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert _known_of_ann(player) == {"anns-1": said, "anns-2": {"contract": "B2222", "meter": "M2"}}


def test_their_own_word_comes_along_also_where_they_said_it_in_the_others_conversation() -> None:
    """It had come along from there while the two were one, and the contact has come home since."""
    player, ann = _apart(), Player()
    ann.message(channel="chat", identities=("chat:ann",), session="ann")
    (theirs,) = ann.state.kept
    theirs.id, theirs.customer = "anns-1", CUSTOMER
    player.state.kept = (*player.state.kept, theirs)
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"contract": "B1111"})
    _over(player)
    player.message(channel="chat", identities=("chat:ben",), session="again")
    assert player.state.kept[-1].context["contract"].came_from == "anns-1"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    _over(player)
    player.message(channel="chat", identities=("chat:ben",), session="later")
    assert player.state.kept[-1].context["contract"].value == "B1111"


@pytest.mark.parametrize("in_memory", [True, False])
def test_nothing_of_the_other_is_carried_over_from_what_left_memory_before_they_were_two(in_memory: bool) -> None:
    """What is kept of it is not looked at where they are taken apart: it is when something would come along."""
    player = Player()
    player.message(channel="email", text="hello", context={"contract": "B2222"})
    took = ContextSet(
        at_ms=player.now_ms,
        actor="customer",
        key="contract",
        value="theirs",
        channel="chat",
        version=2,
        came_from="anns-1",
    )
    evolve(player.state, CONVERSATION, took, msgspec.msgpack.encode(took))
    player.command(Resolve())
    player.pass_time(POLICY.close_after_resolved_ms)
    if not in_memory:
        left = player.state.conversations[CONVERSATION]
        player.state.set_aside().left = ((left.id, carrying.pack(left)),)
        player.state.kept = ()
    kept = player.state.kept_of(CONVERSATION)
    assert kept is not None
    (item,) = kept.context
    assert (item.value, item.others) == ("B2222", [])


def test_a_word_is_its_speakers_also_in_the_others_session() -> None:
    """A call or a chat in which both spoke is one contact. What the one said in the other's is not known there when
    they are two, and the other's own word, whose place it had taken, stands again; it goes where a contact of theirs
    goes."""
    player = _apart()
    player.message(
        channel="chat", identities=("chat:ben",), session="both", context={"contract": "B1111", "meter": "M1"}
    )
    player.message(
        channel="chat", identities=("chat:ann",), session="both", context={"contract": "B2222", "name": "Ann"}
    )
    player.message(channel="sms", identities=("chat:ann",))
    both = player.state.kept[-1]
    assert [(each.channel, each.identity) for each in both.interactions] == [("chat", "chat:ben"), ("sms", "chat:ann")]
    assert both.context["contract"].said_by == "chat:ann"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert {key: item.value for key, item in both.context.items()} == {"contract": "B1111", "meter": "M1"}
    assert _known_of_ann(player) == {"anns-1": {"contract": "B2222", "name": "Ann"}}


def test_a_word_that_is_known_nowhere_else_is_withdrawn_all_the_same() -> None:
    """Nothing of theirs goes anywhere: history alone has what they said in the other's session."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="both")
    player.message(channel="chat", identities=("chat:ann",), session="both", context={"contract": "B2222"})
    player.command(UnmergeCustomers(other="anns"), conversation="")
    (withdrawn,) = [event for _, event in player.decision.events if isinstance(event, ContextWithdrawn)]
    assert (withdrawn.key, withdrawn.came_from, player.state.kept[-1].context) == ("contract", "", {})


def test_a_word_of_a_contact_that_was_split_off_before_is_its_speakers() -> None:
    """A split leaves what was said known where it was; an unmerge of the two does not."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"meter": "M1"})
    player.message(channel="sms", identities=("chat:ann",), context={"contract": "B2222"})
    mixed = player.state.kept[-1]
    player.command(Split(interactions=[2]), conversation=mixed.id)
    assert mixed.context["contract"].said_by == "chat:ann"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert {key: item.value for key, item in mixed.context.items()} == {"meter": "M1"}
    assert _known_of_ann(player) == {"anns-1": {"contract": "B2222"}}
    (withdrawn,) = [
        each for of, each in player.decision.events if of == mixed.id and isinstance(each, ContextWithdrawn)
    ]
    assert withdrawn.came_from == "anns-1"


def test_a_word_of_a_contact_that_memory_has_forgotten_is_its_speakers() -> None:
    """Of a conversation with many contacts the newest are in memory; who spoke in the others, their words say."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"meter": "M1"})
    many = player.state.kept[-1]
    for n in range(INTERACTIONS_MAX + 1):
        more: GivenContext | None = {"contract": "B2222"} if n == 0 else None
        identity = "chat:ann" if n == 0 else "chat:ben"
        player.message(channel="sms", identities=(identity,), session=f"s{n}", context=more)
        player.give(player.input(InteractionStopped(session=f"s{n}"), channel="sms", identities=(identity,)))
    assert "chat:ann" not in {each.identity for each in many.interactions}
    released = player.command(UnmergeCustomers(other="anns"), conversation="")[-1]
    assert isinstance(released, CustomerReleased)
    assert released.unmoved == [many.id]
    assert {key: item.value for key, item in many.context.items()} == {"meter": "M1"}


def _of_ann(player: Player, *channels: str) -> Journey:
    """Ann's customer, with a conversation of these, from an address that is not hers any more."""
    ann = Player(player.policy)
    ann.state = Journey(customer="anns")
    for channel in channels:
        ann.message(channel=channel, identities=("user:ann",), context={"contract": "A1111"})
    ann.state.links = ()
    return ann.state


def _taken_in(player: Player, ann: Journey) -> None:
    merged = CustomerMerged(at_ms=player.now_ms, other="anns", turn=1, given_at=1, members=["anns"], identities=[])
    evolve(player.state, CUSTOMER, merged, b"", ann)


def test_a_contact_that_was_there_and_came_back_is_of_whom_it_was() -> None:
    """A split that was taken back says nothing of whose it is."""
    player = Player()
    player.message(channel="chat", identities=("chat:ben",), session="ben")
    _taken_in(player, _of_ann(player, "sms", "chat"))
    player.command(Split(interactions=[1]), conversation="anns-1")
    bens = player.state.kept[-1].id
    assert customer_of(bens) == CUSTOMER
    player.command(Join(other=bens), conversation="anns-1")
    (came, _) = player.state.conversations["anns-1"].interactions
    assert (came.number, came.origins, came.began_in) == (1, ((bens, 1),), "anns-1")
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert "InteractionMoved" not in names([event for _, event in player.decision.events])


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_contact_whose_address_was_unlinked_goes_where_it_came_from(in_memory: bool) -> None:
    """Nobody has the address by now; that it was said in Ann's conversation is all that tells whose it is."""
    player = Player()
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"meter": "M1"})
    _taken_in(player, _of_ann(player, "sms"))
    player.command(Join(other="anns-1"))
    bens = player.state.conversations[CONVERSATION]
    assert {key: item.value for key, item in bens.context.items()} == {"meter": "M1", "contract": "A1111"}
    for n in range(0 if in_memory else CLOSED_MAX + 1):
        _over(player)
        player.message(channel="chat", identities=("chat:ben",), session=f"later {n}")
    assert (player.state.conversation(CONVERSATION) is not None) == in_memory
    player.command(UnmergeCustomers(other="anns"), conversation="")
    happened = [event for stream, event in player.decision.events if stream == CONVERSATION]
    assert "InteractionMoved" in names(happened)
    assert "ContextWithdrawn" in names(happened)
    assert _known_of_ann(player) == {"anns-2": {"contract": "A1111"}}
    assert not any("contract" in each.context for each in player.state.kept)


def test_replays_of_what_who_leaves_has_in_quarantine_leave_with_it() -> None:
    """What is under way there is ended there, and nothing comes in a second time. Whoever was not answered asks again,
    and is told what was done."""
    player = _apart()
    for id in ("anns.2", "anns.3", f"{CUSTOMER}.9"):
        player.command(BeginReplay(quarantine=id), conversation="", id=f"begin {id}")
    begun_at = player.state.head - 2
    player.command(MarkReplayed(quarantine="anns.3", stream="anns-1", seq=1), conversation="")
    released = player.command(UnmergeCustomers(other="anns"), conversation="")[-1]
    assert isinstance(released, CustomerReleased)
    assert player.state.aside is not None
    assert (player.state.aside.replaying, player.state.aside.replayed) == ((f"{CUSTOMER}.9",), ())
    assert player.state.aside.forms == {f"{CUSTOMER}.9": 0}
    ann = Player()
    ann.state = Journey(customer="anns")
    for begun in ("anns.1", "anns.2"):  # Before the two were one.
        ann.command(BeginReplay(quarantine=begun), conversation="")
    back = merging.returned(released, Unsettled("anns", CUSTOMER, 2, 9), ann.now_ms)
    evolve(ann.state, "anns", back, msgspec.msgpack.encode(back))
    for command in (
        BeginReplay(quarantine="anns.2"),
        BeginReplay(quarantine="anns.3"),
        EndReplay(quarantine="anns.1", code=1, reason="no"),
    ):
        with pytest.raises(Refusal):
            ann.command(command, conversation="")
    assert ann.command(BeginReplay(quarantine="anns.2"), conversation="", id="begin anns.2") == []
    assert (ann.decision.status, ann.decision.repeats) == ("repeat", (CUSTOMER, begun_at))
    # In which form it was begun while the two were one, it is not told.
    end = EndReplay(quarantine="anns.2", code=1, reason="no", form=form_of(b"{}"))
    assert names(ann.command(end, conversation="")) == ["ReplayRefused"]


def test_what_came_in_while_they_were_one_is_no_other_persons_afterwards() -> None:
    """Its source sent it again, and it came in to the other's conversation, before they were taken apart: from
    quarantine it is not replayed as somebody else's."""
    player = Player()
    player.message(channel="chat", identities=("chat:ben",))
    _over(player)
    _taken_in(player, _of_ann(player, "sms"))
    said = player.message(channel="chat", identities=("chat:ben",))
    [once] = [event.once for event in said if event.once is not None]
    assert {customer_of(stream) for stream, event in player.decision.events if event.once} == {"anns"}
    player.command(UnmergeCustomers(other="anns"), conversation="")
    with pytest.raises(Refusal, match="as its source sent it again"):
        player.command(
            BeginReplay(quarantine=f"{CUSTOMER}.9", raw=b"{}", input=msgspec.msgpack.encode(once)), conversation=""
        )


def _left_memory(player: Player) -> str:
    """A conversation of both closes, and leaves memory by those of Ben's that close after it; returns its id."""
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"meter": "M1"})
    player.message(channel="sms", identities=("chat:ann",), context={"contract": "B2222"})
    both = player.state.kept[-1].id
    for n in range(CLOSED_MAX + 1):
        _over(player)
        player.message(channel="chat", identities=("chat:ben",), session=f"later {n}")
    assert player.state.conversation(both) is None
    return both


def test_what_left_memory_before_they_were_two_is_taken_apart_like_the_rest() -> None:
    """One person's contract is not known at the other's conversation, however long ago that closed, nor does it come
    along from there. It is known where their contact goes."""
    player = _apart()
    both = _left_memory(player)
    last = player.state.kept[-1]
    assert last.context["contract"].came_from == both
    released = player.command(UnmergeCustomers(other="anns"), conversation="")[-1]
    assert isinstance(released, CustomerReleased)
    happened = [event for stream, event in player.decision.events if stream == both]
    assert names(happened) == ["InteractionMoved", "ContextWithdrawn"]
    assert _known_of_ann(player) == {"anns-1": {"contract": "B2222"}}
    assert (released.unmoved, [*last.context]) == ([], ["meter"])
    assert player.state.aside is not None
    (kept,) = [carrying.unpack(packed) for id, packed in player.state.aside.left if id == both]
    assert [(item.key, item.value) for item in kept.context] == [("meter", "M1")]


def test_what_is_corrected_after_it_left_memory_goes_on_from_where_it_stood() -> None:
    """Its next fact has the next number, in whatever part of memory it is."""
    player = _apart()
    both = _left_memory(player)
    before = player.state.head_of(both)
    assert before > 0
    noted = CorrelationCorrected(at_ms=player.now_ms, correction="unmerge", other="anns-9")
    evolve(player.state, both, noted, msgspec.msgpack.encode(noted))
    assert player.state.head_of(both) == before + 1


def test_a_merge_after_an_unmerge_is_like_any_other() -> None:
    """What was taken apart stays apart: each conversation knows what was said in it, and what comes next may take along
    what either knows. A join puts the contacts together again, with their words."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="ben", context={"meter": "M1"})
    player.message(channel="sms", identities=("chat:ann",), context={"contract": "B2222"})
    both = player.state.kept[-1]
    player.command(UnmergeCustomers(other="anns"), conversation="", id="apart")
    ann = Journey(customer="anns", links=(IdentityLink(identity="chat:ann", evidence="first_contact"),))
    for stream, event in player.decision.events:
        if stream.startswith("anns-"):
            evolve(ann, stream, event, msgspec.msgpack.encode(event))
    merged = CustomerMerged(
        at_ms=player.now_ms, other="anns", turn=3, given_at=9, members=["anns"], identities=["chat:ann"]
    )
    evolve(player.state, CUSTOMER, merged, b"", ann)
    hers = player.state.conversations["anns-1"]
    assert ([*both.context], [*hers.context]) == (["meter"], ["contract"])
    for id, key in ((both.id, "meter"), (hers.id, "contract")):
        kept = player.state.kept_of(id)
        assert kept is not None
        assert [item.key for item in kept.context] == [key]
    player.command(Join(other=hers.id), conversation=both.id)
    assert sorted(both.context) == ["contract", "meter"]


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("writer", ["ann", "ben"])
def test_a_subject_is_its_writers(writer: str, left: bool) -> None:
    """Also where the conversation has left memory. It is in no list of the other's conversations, and in no account of
    what was before a later one."""
    player = _apart()
    other = "ben" if writer == "ann" else "ann"
    player.message(channel="email", identities=(f"chat:{writer}",), subject="My divorce", reference="1@x")
    player.message(channel="chat", identities=(f"chat:{other}",), session="s", context={"meter": "M1"})
    both = player.state.kept[-1]
    for n in range(CLOSED_MAX + 1 if left else 1):
        _over(player)
        player.message(channel="chat", identities=("chat:ben",), session=f"later {n}")
        if n == 0:
            later = player.state.kept[-1]
    assert (player.state.conversation(both.id) is None) == left
    assert later.work is not None
    assert later.work.carried is not None
    assert later.work.carried.subject == "My divorce"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    corrected = [
        each for of, each in player.decision.events if of == both.id and isinstance(each, CorrelationCorrected)
    ]
    opened = [each for of, each in player.decision.events if isinstance(each, ConversationOpened) and of == "anns-1"]
    assert [each.subject for each in corrected] == ([""] if writer == "ann" else [])
    assert [each.subject for each in opened] == ["My divorce" if writer == "ann" else ""]
    assert (later.work.carried is None) == (writer == "ann")
    kept = player.state.kept_of(both.id)
    assert kept is not None
    assert kept.done.subject == ("" if writer == "ann" else "My divorce")


@pytest.mark.parametrize("first", [True, False])
def test_who_wrote_a_subject_is_known_however_long_ago(first: bool) -> None:
    """Also where that was the first contact, which has been split off since, and where no event of it is in memory."""
    player = _apart()
    mail, chat = ("email", "chat:ann"), ("chat", "chat:ben")
    for channel, identity in (mail, chat) if first else (chat, mail):
        subject = "My divorce" if channel == "email" else ""
        player.message(channel=channel, identities=(identity,), subject=subject)
    both = player.state.kept[-1]
    if first:
        player.command(Split(interactions=[1]), conversation=both.id)
    for n in range(40):
        player.message(channel="chat", identities=("chat:ben",), text=f"word {n}")
    assert both.subject == "My divorce"
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert both.subject == ""
    assert {each.identity for each in both.interactions} == {"chat:ben"}


@pytest.mark.parametrize("hers", ["a word", "a contact", "nothing"])
def test_an_open_offer_of_what_is_taken_apart_ends(hers: str) -> None:
    """Its package names what is another person's from now on. One of what is all their own stands."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="s")
    if hers == "a word":
        player.message(channel="chat", identities=("chat:ann",), session="s", context={"contract": "B2222"})
    elif hers == "a contact":
        player.message(channel="sms", identities=("chat:ann",))
    state = player.state.kept[-1]
    player.command(OfferHandoff(kind="any", queue="other"), conversation=state.id)
    happened = names(player.command(UnmergeCustomers(other="anns"), conversation=""))
    assert state.handoff is not None
    assert (state.handoff.open, happened.count("HandoffWithdrawn")) == ((True, 0) if hers == "nothing" else (False, 1))


@pytest.mark.parametrize("also", [True, False])
def test_a_relation_rests_on_no_number_that_the_other_named(also: bool) -> None:
    """Her claim is why a conversation of his continues an earlier one: it does no more, unless he named it, too."""
    player = _apart()
    player.message(channel="chat", identities=("chat:ben",), session="s")
    state = player.state.kept[-1]
    reason = "both name claim C2"
    state.relation = Relation(kind=RelationKind.CONTINUES, conversation=CONVERSATION, reason=reason)
    player.message(channel="sms", identities=("chat:ann",))
    for contact in state.interactions:
        if also or contact.identity == "chat:ann":
            contact.tags = Tags(keys=("claim:C2",))
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert [each.number for each in state.interactions] == [1]
    assert (state.relation is not None) == also


def test_what_left_memory_has_their_own_word_again() -> None:
    """In the place of the other's, which had taken it in the same session; so has what may come along from there."""
    player = _apart()
    for who, contract in (("ben", "B1111"), ("ann", "B2222")):
        player.message(channel="chat", identities=(f"chat:{who}",), session="s", context={"contract": contract})
    both = player.state.kept[-1].id
    for n in range(CLOSED_MAX + 1):
        _over(player)
        player.message(channel="chat", identities=("chat:ben",), session=f"later {n}")
    player.command(UnmergeCustomers(other="anns"), conversation="")
    kept = player.state.kept_of(both)
    assert kept is not None
    assert [(item.key, item.value, item.others) for item in kept.context] == [("contract", "B1111", [])]


@pytest.mark.parametrize("loaded", [True, False])
def test_what_retention_took_is_not_kept_to_be_taken_apart(loaded: bool) -> None:
    """Neither where a snapshot is taken without it, nor where a load finds facts of it gone."""
    player = _apart()
    both = _left_memory(player)
    # What may come along from it is forgotten before.
    player.state.set_aside().left = ()
    assert both in remains.words(player.state)
    if loaded:
        noted = CorrelationCorrected(at_ms=player.now_ms, correction="unmerge", other="anns-9")
        remains.skip_to(player.state, both, player.state.head_of(both) + 2, noted)
    else:
        remains.forget(player.state, {both})
    player.command(UnmergeCustomers(other="anns"), conversation="")
    assert both not in {stream for stream, _ in player.decision.events}


async def test_a_family_of_three_comes_apart_in_order() -> None:
    """Who brought another along takes it away again; only a direct member can be taken out."""
    async with world() as made:
        a, b, *_ = await two(made)
        c = customer_of((await say(made, "c1", "chat:c")).stream)
        await merge(made, b, a, "m1")
        await merge(made, c, b, "m2")
        assert (await known(made, a))[0] == ["chat:a", "chat:b", "chat:c"]
        with pytest.raises(Refusal) as refused:
            await unmerge(made, c, a, "u0")
        assert b in refused.value.message
        await unmerge(made, c, b, "u1")
        assert (await known(made, a))[0] == ["chat:a", "chat:b"]
        assert (await known(made, c))[0] == ["chat:c"]
        await unmerge(made, b, a, "u2")
        assert [(await known(made, each))[0] for each in (a, b, c)] == [["chat:a"], ["chat:b"], ["chat:c"]]


RULED = msgspec.structs.replace(
    POLICY,
    identity=IdentityRules(match=[MatchRule(kinds=["crm"], merge_at=70, merge_by_itself_at=80)], shared=["crm:0"]),
)


@pytest.mark.parametrize(
    ("identity", "merges"),
    [
        ("crm:1", True),
        ("crm:0", False),  # It stands for several people.
        ("user:1", False),  # No rule is for it.
    ],
)
async def test_a_rule_merges_those_it_is_sure_of(identity: str, merges: bool) -> None:
    """A channel that names an identity of another customer beside its own, surely enough; never a shared one."""
    async with world(policy=RULED) as made:
        a = await say(made, "a1", "chat:a", identity)
        b = await say(made, "b1", "chat:b")
        one, other = customer_of(b.stream), customer_of(a.stream)
        await say(made, "b2", "chat:b", identity)
        if merges:
            await settled(made, ["chat:a", "chat:b"], one)
            # A person says otherwise, and the channel goes on saying so.
            await unmerge(made, one, other)
            await say(made, "b3", "chat:b", identity)
            await say(made, "b4", "chat:b", identity)
        await nothing_under_way(made)
        assert set((await made.journal_store.customers_of(["chat:a", "chat:b"])).values()) == {one, other}


async def test_a_rule_merges_nobody_who_has_both_shown_it_to_be_theirs() -> None:
    """A login of two: that is for a person to look at."""
    rules = IdentityRules(match=[MatchRule(merge_at=70, merge_by_itself_at=80)])
    async with world(policy=msgspec.structs.replace(POLICY, identity=rules)) as made:
        await say(made, "a1", "chat:a", "user:1")
        await say(made, "b1", "chat:b")
        await say(made, "b2", "chat:b", "user:1")
        await say(made, "b3", "chat:b", "user:1")
        await nothing_under_way(made)
        assert len(set((await made.journal_store.customers_of(["chat:a", "chat:b"])).values())) == 2


@pytest.mark.parametrize("single", [[], ["user"]])
async def test_a_rule_merges_nobody_who_both_have_of_what_a_person_has_one(single: list[str]) -> None:
    """Two who sign in with an account each and name one phone, whatever the rule is sure of; a person may say so."""
    rules = IdentityRules(match=[MatchRule(kinds=["tel"], merge_at=70, merge_by_itself_at=70)], single=single)
    phone = "tel:+447700900123"
    async with world(policy=msgspec.structs.replace(POLICY, identity=rules)) as made:
        a = await say(made, "a1", "user:1", phone)
        b = await say(made, "b1", "user:2")
        await say(made, "b2", "user:2", phone)
        if not single:
            await settled(made, ["user:1", "user:2"], customer_of(b.stream))
            return
        await say(made, "b3", "user:2", phone)
        await say(made, "b4", "user:2", phone)
        await nothing_under_way(made)
        assert len(set((await made.journal_store.customers_of(["user:1", "user:2"])).values())) == 2
        await merge(made, customer_of(b.stream), customer_of(a.stream))
        await settled(made, ["user:1", "user:2"], customer_of(b.stream))


def test_what_is_over_and_was_parted_comes_and_leaves_with_whose_it_is() -> None:
    """Closed conversations, what they were about, and which identities are not theirs: nothing of it stays behind."""
    about = Tags(topic=Tag(value="bill"))
    mine, theirs = IdentityLink(identity="chat:a", evidence="x"), IdentityLink(identity="chat:b", evidence="x")
    one, other = (
        Journey(
            customer=customer,
            head=3,
            links=(link,),
            past=(f"{customer}-1",),
            aside=Aside(left=((f"{customer}-1", b"x"),), remembered=(Past(f"{customer}-1", about, 1),)),
            disputes=Disputes(parted=parted, noted=noted),
        )
        for customer, link, parted, noted in (
            ("cua", mine, ("tel:1",), ("crm:1 cuc",)),
            ("cub", theirs, ("tel:1", "tel:2", "chat:a"), ("crm:1 cuc", "crm:2 cuc")),
        )
    )
    other.kept = (Conversation(id="cub-1", customer="cub", head=7, status=Status.CLOSED),)
    before = msgspec.structs.replace(one)
    merged = CustomerMerged(at_ms=1, other="cub", turn=1, given_at=1, members=["cub"], identities=["chat:b"])
    merging.join(one, other, merged)
    assert one.past == ("cua-1", "cub-1"), "what is in memory is forgotten last"
    assert one.aside is not None
    assert {id for id, _ in one.aside.left} == {past.conversation for past in one.aside.remembered} == {*one.past}
    assert one.disputes is not None
    assert one.disputes.parted == ("tel:2", "tel:1"), "what is this one's is not parted from it"
    assert one.disputes.noted == ("crm:2 cuc", "crm:1 cuc")
    one.past = ("cub-1", "cua-1")
    released = CustomerReleased(at_ms=2, other="cub", turn=2, members=["cub"], links=[theirs])
    merging.evolve_released(one, released)
    after = msgspec.structs.replace(one)
    assert (after.past, after.kept, after.links) == (("cua-1",), (), (mine,))
    assert before.aside is not None
    assert after.aside is not None
    assert (after.aside.left, after.aside.remembered) == (before.aside.left, before.aside.remembered)
    assert after.disputes is not None
    assert (after.disputes.parted, after.disputes.noted) == (("tel:1",), ("crm:1 cuc",))
    assert after.disputes.family is not None
    assert (after.disputes.family.members, after.disputes.family.left) == ({}, {"cub": ("cub", 2)})


def test_who_returns_has_no_member_s_identity_that_was_unlinked_meanwhile() -> None:
    """It would leave again with that member, whosever it is by then."""
    identities = ("chat:c", "tel:3")
    member = Member(via=CUSTOMER, turn=1, given_at=1, at_ms=1, seq=1, opened=1, identities=identities)
    state = Journey(customer=CUSTOMER, disputes=Disputes(family=Family(members={"cuc": member})))
    kept = IdentityLink(identity="chat:c", evidence="x")
    returned = CustomerReturned(at_ms=2, other="other", turn=2, released_at=1, links=[kept])
    evolve(state, CUSTOMER, returned, b"")
    assert (member.identities, state.links) == (("chat:c",), (kept,))


SHOWN = IdentityLink(identity="user:1", evidence="login", verified=True)
NAMED = IdentityLink(identity="crm:1", evidence="account", confidence=80)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        pytest.param({}, "", id="by a person"),
        pytest.param({"to": CUSTOMER}, "not merged into itself", id="into itself"),
        pytest.param({"reason": "x" * 501}, "at most 500 characters", id="with too many words"),
        pytest.param({"identity": "crm:1"}, "", id="by a rule"),
        pytest.param({"identity": "crm:2"}, "a person has to say", id="by what is not its own"),
        pytest.param({"identity": "crm:1", "verified": True}, "", id="shown to be the other's alone"),
        pytest.param({"identity": "user:1"}, "", id="shown to be this one's alone"),
        pytest.param({"identity": "user:1", "verified": True}, "a person has to say", id="shown to be of both"),
        pytest.param({"identity": "crm:1", "kinds": ["user"]}, "a person has to say", id="both have an account"),
        pytest.param({"identity": "crm:1", "kinds": ["crm"]}, "", id="of that kind one may have several"),
        pytest.param({"identity": "crm:1", "to": "left"}, "a person has to say", id="was merged into this one"),
        pytest.param({"identity": "crm:1", "to": "former"}, "a person has to say", id="this one was merged into"),
        pytest.param({"to": "left"}, "", id="a person takes back that they were parted"),
    ],
)
def test_who_may_give_itself(changes: dict[str, object], refused: str) -> None:
    """A person may say of any two that they are one; a rule only where nobody said or showed otherwise."""
    family = Family(left={"left": ("left", 2)})
    known = Disputes(turn=3, family=family, inherited=(("former", b""),))
    state = Journey(customer=CUSTOMER, head=5, links=(SHOWN, NAMED), disputes=known)
    command = msgspec.structs.replace(GiveCustomer(customer=CUSTOMER, to="other"), **changes)
    if refused:
        with pytest.raises(Refusal, match=refused):
            merging.give(state, command, "agent:ann", ["user"], 1)
        return
    given = merging.give(state, command, "agent:ann", ["user"], 1)
    assert (given.to, given.turn, given.members) == (command.to, 4, [CUSTOMER])


async def nothing_under_way(made: World) -> None:
    """Returns when every merge that a rule asked for was made or refused: an answer does not wait for it."""
    await made.until(lambda: not made.intake._by_rule._under_way)


async def settled(made: World, identities: list[str], owner: str) -> None:
    """Returns when these are all that customer's."""
    async with asyncio.timeout(5):
        while set((await made.journal_store.customers_of(identities)).values()) != {owner}:  # noqa: ASYNC110 - parts away
            await asyncio.sleep(0.01)


def test_turns_go_on_after_the_person_is_erased() -> None:
    """Whoever had the customer as a member remembers the turn in which it left; the next merge is a later one."""
    state = Journey(customer=CUSTOMER)
    evolve(state, CUSTOMER, CustomerGiven(at_ms=1, to="other", turn=1, members=[CUSTOMER]), b"")
    evolve(state, CUSTOMER, CustomerReturned(at_ms=2, other="other", turn=2, released_at=1), b"")
    evolve(state, CUSTOMER, CustomerErased(at_ms=3, reason="asked"), b"")
    assert state.disputes is not None
    assert (state.disputes.turn, state.disputes.given) == (2, None)
