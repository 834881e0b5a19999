"""The cell behind its gate, with the real journal, archive and intake: nothing before its commit, nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from actors.rules.policies import packed
from actors.rules.policy import AccountRules
from orchestrator.way_in.lookups import LookUp
from protocol.commands import Assign, LinkIdentity, Reply, Resolve, Snooze, Take
from protocol.entities import Status
from protocol.errors import Code, Refusal
from protocol.events import PolicyApplied
from protocol.ids import POLICY as POLICY_STREAM
from protocol.inbound import InteractionBegan, InteractionStopped
from protocol.journal import Unit
from protocol.links import (
    Answered,
    Ask,
    CustomerRead,
    Input,
    ListWatched,
    Moved,
    ReadCustomer,
    Refused,
    WatchConversation,
    Watched,
    WatchList,
)
from tests.actors.player import POLICY
from tests.actors.world import World, world

ANN = "mailto:ann@example.org"


async def read(made: World, customer: str) -> CustomerRead:
    """What the live actor says of the customer."""
    reply = await made.cells.call(customer, lambda ref: ReadCustomer(ref, customer))
    assert isinstance(reply, CustomerRead)
    return reply


async def watch(made: World, conversation: str, seq: int = -1) -> Watched:
    """Watches a conversation."""
    customer = conversation.rpartition("-")[0]
    reply = await made.cells.call(customer, lambda ref: WatchConversation(ref, customer, conversation, seq))
    assert isinstance(reply, Watched)
    return reply


def held_before_sync(made: World) -> tuple[asyncio.Event, asyncio.Event]:
    """Holds the journal between write and sync: the first event is set once it is held, the second lets it go on."""
    held, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await release.wait()

    made.journal_store._before_sync = hold
    return held, release


async def test_an_event_is_committed_before_its_answer() -> None:
    """The answer names a position the journal has."""
    async with world() as made:
        answer = await made.intake.submit(made.event())
        assert answer.status == "committed"
        assert answer.seq == 1
        assert await made.journal_store.position() >= answer.position > 0


async def test_nothing_leaves_before_the_sync() -> None:
    """While a commit is held between write and sync, neither ack nor update nor read leaves; a crash there loses it."""
    async with world() as made:
        first = await made.intake.submit(made.event("one"))
        watched = await watch(made, first.stream)
        assert watched.view is not None
        assert watched.head == 3
        held, _ = held_before_sync(made)
        second = asyncio.ensure_future(made.intake.submit(made.event("two")))
        await held.wait()
        reading = asyncio.ensure_future(read(made, "cu0000000000000001"))
        await _turns()
        assert not second.done()
        assert not reading.done()
        assert made.updates == []
        await made.restart_journal()
        answer = await second
        assert (answer.status, answer.seq) == ("committed", 4)
        assert (await reading).view is not None
        assert [update.seq for update in made.updates] == [4]


async def test_a_repeat_waits_for_its_original_and_is_acked() -> None:
    """The same id twice in one turn: one effect, two answers with its place."""
    async with world() as made:
        event = made.event(id="same")
        one, two = await asyncio.gather(made.intake.submit(event), made.intake.submit(event))
        assert (one.status, two.status) == ("committed", "repeat")
        assert (one.stream, one.seq) == (two.stream, two.seq)


async def test_a_repeat_without_a_time_of_its_own_is_a_repeat() -> None:
    """A source that has no clock sends the same again under a later arrival: the payload is what is compared."""
    async with world() as made:
        await made.intake.submit(made.event("one", id="same"))
        made.now_ms += 5_000
        assert (await made.intake.submit(made.event("one", id="same"))).status == "repeat"
        assert (await made.intake.submit(made.event("other", id="same"))).status == "quarantined"


async def test_first_contact_at_two_doors_makes_one_customer() -> None:
    """Two gateways propose two customers for one identity: the journal's unique key decides, in order."""
    async with world() as made:
        other = World.__new__(World)
        other.__dict__.update(made.__dict__)
        from orchestrator.cell_lines.cells import Cells
        from orchestrator.way_in.intake import Intake, IntakeLimits
        from tests.actors.world import ACCOUNTS

        other.cells = Cells(2)
        for index, cell in enumerate(made.cell_actors):
            assert cell is not None
            made.connect("gateway:1", other.cells, f"cell:{index}", cell)
        door = Intake(
            other.cells,
            lambda identities: made.journal_store.customers_of(identities),
            ACCOUNTS,
            region="GB",
            limits=IntakeLimits(waiting_max=100, ahead_ms=10**9, behind_ms=10**12),
            now_ms=lambda: made.now_ms,
            new_customer=lambda: "cuotherdoor00001",
        )
        answers = await asyncio.gather(
            *(made.intake.submit(made.event(f"a{n}")) for n in range(5)),
            *(door.submit(made.event(f"b{n}")) for n in range(5)),
        )
        assert len({answer.stream for answer in answers}) == 1
        seqs = [answer.seq for answer in answers]
        assert sorted(seqs[:5]) == seqs[:5], "each door's order is kept"
        assert sorted(seqs[5:]) == seqs[5:]
        assert len(set(seqs)) == 10


async def test_what_follows_an_event_that_is_sent_on_is_sent_on_behind_it() -> None:
    """A door that does not know Ann's mail yet proposes a customer for her chat and mail; her next words have the chat
    identity alone. They stay behind the first ones, and hers."""
    async with world() as made:
        mail = await made.intake.submit(made.event())
        known = made.journal_store.customers_of
        made.intake._attribution._lookups._customers_of = _late(known)
        made.intake._attribution._known.clear()
        one, two = await asyncio.gather(
            made.intake.submit(made.event("one", account="chat", identities=("web:1", ANN))),
            made.intake.submit(made.event("two", account="chat", identities=("web:1",))),
        )
        assert (one.stream, two.stream) == (mail.stream, mail.stream)
        assert one.seq < two.seq


def _late(customers_of: Callable[[Sequence[str]], Awaitable[dict[str, str]]]) -> LookUp:
    """A reader that sees nothing the first time."""
    asked: list[int] = []

    async def look_up(identities: Sequence[str]) -> dict[str, str]:
        asked.append(1)
        return await customers_of(identities) if len(asked) > 1 else {}

    return look_up


async def test_a_proposed_customer_that_is_real_by_now_is_loaded() -> None:
    """The chat began and was answered; its end was sent under the same proposal, and the cell died before it came. Its
    next life knows what began, and does not refuse the end of what it never heard of."""
    async with world(cells=1) as made:
        began = made.event(InteractionBegan(session="s1"), account="chat", identities=("web:1",))
        answer = await made.intake.submit(began)
        customer = answer.stream.rpartition("-")[0]
        made.kill_cell(0)
        over = made.event(InteractionStopped(session="s1"), account="chat", identities=("web:1",))
        replies: list[object] = []
        made.cells.ask(customer, lambda ref: Input(ref, customer, True, over, ["web:1"], [], 7, 7), replies.append)
        await made.start_cell(0)
        await made.until(lambda: replies)
        assert isinstance(replies[0], Answered)
        assert (replies[0].stream, replies[0].seq) == (answer.stream, 3)


async def test_a_proposed_customer_that_was_loaded_and_has_left_is_loaded_again() -> None:
    """The cell remembers a proposal however it was begun: begun anew it would know nothing of the chat that ends."""
    async with world(cells=1) as made:
        replies: list[object] = []

        def ask(number: int, data: InteractionBegan | InteractionStopped, *, again: bool) -> None:
            event = made.event(data, account="chat", identities=("web:1",))

            def make(ref: int) -> Input:
                return Input(ref, "cu7", True, event, ["web:1"], [], number, number, again=again)

            made.cells.ask("cu7", make, replies.append)

        ask(1, InteractionBegan(session="s1"), again=True)
        await made.until(lambda: replies)
        cell = made.cell_actors[0]
        assert cell is not None
        made.now_ms += 900_001
        cell.tick(made.now_ms)
        assert cell.status()["live_journeys"] == 0
        ask(2, InteractionStopped(session="s1"), again=False)
        await made.until(lambda: len(replies) == 2)
        first, second = replies
        assert isinstance(first, Answered)
        assert isinstance(second, Answered)
        assert (first.seq, second.stream) == (1, first.stream)
        assert second.seq > first.seq


async def test_what_follows_an_event_that_is_sent_on_stays_behind_it_though_the_customer_left_memory() -> None:
    """It was on its way to the cell longer than the proposed customer stayed in memory."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event())
        customer = answer.stream.rpartition("-")[0]
        replies: list[object] = []

        def ask(number: int, *identities: str) -> None:
            event = made.event(f"{number}", account="chat", identities=identities)

            def make(ref: int) -> Input:
                return Input(ref, "cu7", True, event, list(identities), [], number, number)

            made.cells.ask("cu7", make, replies.append)

        ask(1, "web:1", ANN)
        await made.until(lambda: replies)
        cell = made.cell_actors[0]
        assert cell is not None
        made.now_ms += 900_001

        def left() -> bool:
            cell.tick(made.now_ms)
            return cell.status()["live_journeys"] == 0

        await made.until(left)  # It is loaded first.
        ask(2, "web:1")
        await made.until(lambda: len(replies) == 2)
        assert [(each.identity, each.customer) for each in replies if isinstance(each, Moved)] == [(ANN, customer)] * 2


async def test_a_trusted_event_links_its_identities() -> None:
    """What the chat says of mail and phone makes the next mail and SMS the same conversation."""
    async with world() as made:
        chat = await made.intake.submit(
            made.event(account="chat", identities=("web:1", ANN, "tel:+447700900123")),
        )
        mail = await made.intake.submit(made.event(identities=(ANN,)))
        sms = await made.intake.submit(made.event(account="sms", identities=("tel:07700900123",)))
        assert chat.stream == mail.stream == sms.stream


async def test_an_untrusted_event_links_nothing() -> None:
    """A mail that claims a phone number does not make it its sender's."""
    async with world() as made:
        mail = await made.intake.submit(made.event(identities=(ANN, "tel:+447700900123")))
        sms = await made.intake.submit(made.event(account="sms", identities=("tel:+447700900123",)))
        assert mail.stream != sms.stream


async def test_a_link_of_a_taken_identity_names_its_customer() -> None:
    """The refusal says whose it is; nothing is merged."""
    async with world() as made:
        mail = await made.intake.submit(made.event())
        sms = await made.intake.submit(made.event(account="sms", identities=("tel:+447700900123",)))
        customer = mail.stream.rpartition("-")[0]
        with pytest.raises(Refusal) as refused:
            await made.intake.command(
                actor="agent:ann", id="1", customer=customer, command=LinkIdentity(identity="tel:+447700900123")
            )
        assert refused.value.code == Code.IDENTITY_TAKEN
        assert sms.stream.rpartition("-")[0] in refused.value.message


async def test_an_agents_nonsense_beside_a_refused_link_harms_nobody() -> None:
    """A link that is refused is decided again with what came after it, also where that is no identity at all."""
    async with world(cells=1) as made:
        mail = await made.intake.submit(made.event())
        await made.intake.submit(made.event(account="sms", identities=("tel:+447700900123",)))
        customer = mail.stream.rpartition("-")[0]

        async def link(id: str, identity: str) -> object:
            ask = Ask(0, customer, "", "agent:ann", id, LinkIdentity(identity=identity), int(id), 1)
            return await made.cells.call(customer, lambda ref: msgspec.structs.replace(ask, ref=ref))

        taken, nonsense = await asyncio.gather(link("1", "tel:+447700900123"), link("2", "garbage"))
        assert isinstance(taken, Refused)
        assert taken.code == Code.IDENTITY_TAKEN
        assert isinstance(nonsense, Refused)
        assert nonsense.code == Code.BAD_IDENTITY
        assert (await made.intake.submit(made.event("after"))).seq == 4


async def test_a_bug_in_a_cell_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not live on half-stepped: its run raises what a callback met, and its next life recovers."""
    async with world(cells=1) as made:
        cell = made.cell_actors[0]
        assert cell is not None
        waiting = asyncio.ensure_future(made.intake.submit(made.event("one")))

        def bug() -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(cell._gathering, "flush", bug)
        with pytest.raises(ValueError, match="a bug"):
            await made.tasks["cell:0"]
        made.kill_cell(0)
        await made.start_cell(0)
        assert (await waiting).status == "committed"


async def test_a_killed_cell_comes_back_with_all_that_was_acked() -> None:
    """What was acked is there, what was under way is decided once, and watchers resume by suffix."""
    async with world(cells=1) as made:
        first = await made.intake.submit(made.event("one"))
        watched = await watch(made, first.stream)
        under_way = asyncio.ensure_future(made.intake.submit(made.event("two", id="two")))
        await asyncio.sleep(0)
        made.kill_cell(0)
        await made.start_cell(0)
        answer = await under_way
        assert answer.status in ("committed", "repeat")
        resumed = await watch(made, first.stream, watched.head)
        assert resumed.view is None
        assert len(resumed.events) == 1
        again = await made.intake.submit(made.event("two", id="two"))
        assert (again.status, again.seq) == ("repeat", answer.seq)


async def test_a_journey_leaves_memory_and_returns_whole() -> None:
    """Passivation keeps a snapshot; the next event finds conversation, once-keys and identities."""
    async with world(cells=1) as made:
        cell = made.cell_actors[0]
        assert cell is not None
        event = made.event("one")
        first = await made.intake.submit(event)
        made.now_ms += 901_000
        cell.tick(made.now_ms)
        assert cell.status()["live_journeys"] == 0
        second = await made.intake.submit(made.event("two"))
        assert (second.stream, second.seq) == (first.stream, 4)
        again = await made.intake.submit(event)
        assert (again.status, again.seq) == ("repeat", 1)


async def test_the_memory_cap_sends_the_idlest_away() -> None:
    """Over the cap the longest untouched leave first, and only quiet ones."""
    async with world(cells=1) as made:
        cell = made.cell_actors[0]
        assert cell is not None
        for n in range(20):
            await made.intake.submit(made.event(identities=(f"mailto:c{n}@example.org",)))
        cell._population._count_max = 5
        cell.tick(made.now_ms)
        assert cell.status()["live_journeys"] == 5
        assert cell._population.get("cu0000000000000020") is not None


async def test_names_that_somebody_made_up_put_nobody_out() -> None:
    """They leave memory as soon as they are answered, whatever room there is; who turned out to be somebody stays."""
    async with world(cells=1) as made:
        cell = made.cell_actors[0]
        assert cell is not None
        for n in range(5):
            await made.intake.submit(made.event(identities=(f"mailto:c{n}@example.org",)))
        population = cell._population
        population._count_max = 6
        bytes_before = population.bytes
        for n in range(20):
            assert (await read(made, f"cunobody{n}")).view is None
        refused = await made.cells.call("cunobody", lambda ref: WatchConversation(ref, "cunobody", "cunobody-1", -1))
        assert isinstance(refused, Refused)
        cell.tick(made.now_ms)
        there = [customer for n in range(5) if population.get(customer := f"cu{n + 1:016d}") is not None]
        assert (len(there), len(population), population.bytes) == (5, 5, bytes_before)
        # One whom nobody was as it was asked, and who came while it was in memory.
        await read(made, "cu0000000000000006")
        await made.intake.submit(made.event(identities=("mailto:c6@example.org",)))
        cell.tick(made.now_ms)
        assert population.get("cu0000000000000006") is not None


async def test_snapshots_come_every_64_events_and_carry_their_position() -> None:
    """The archive stores one only when it has reached its position."""
    async with world(cells=1) as made:
        for n in range(70):
            await made.intake.submit(made.event(f"{n}"))
        await made.archived()
        await made.until(lambda: not made.archive.status()["snapshots"])
        stored = (await made.archive_store.stored("cu0000000000000001")).snapshot
        assert stored is not None
        assert 0 < stored.position <= made.archive.position


async def test_an_inbox_hears_of_conversations_that_did_not_exist() -> None:
    """A list's watcher gets the new row, its changes, and its leaving."""
    async with world(cells=1) as made:
        listed: list[object] = []
        made.cells.ask_cell(0, lambda ref: WatchList(ref, "queue:default"), listed.append)
        await made.until(lambda: listed)
        assert isinstance(listed[0], ListWatched)
        answer = await made.intake.submit(made.event())
        await made.until(lambda: made.rows)
        assert made.rows[0].lists == ["queue:default"]
        assert made.rows[0].row.conversation == answer.stream
        await made.intake.command(actor="agent:ann", id="1", conversation=answer.stream, command=Resolve())
        await made.until(lambda: len(made.rows) > 1)
        assert made.rows[-1].left == ["queue:default"]
        assert made.rows[-1].row.status is Status.RESOLVED


async def test_an_inbox_hears_that_a_conversation_left_before_it_heard_that_it_came() -> None:
    """Two commits in a row, ann's and then nobody's: who listed ann's inbox from the archive between them has it."""
    async with world(cells=1) as made:
        first = await made.intake.submit(made.event())
        made.cells.ask_cell(0, lambda ref: WatchList(ref, "owner:ann"), lambda reply: None)
        held, release = held_before_sync(made)
        ask = made.intake.command
        take = asyncio.ensure_future(ask(actor="agent:ann", id="1", conversation=first.stream, command=Take()))
        await held.wait()
        give = asyncio.ensure_future(
            ask(actor="agent:ann", id="2", conversation=first.stream, command=Assign(owner=""))
        )
        await _turns()
        release.set()
        await asyncio.gather(take, give)
        await made.until(lambda: made.rows)
        assert [(change.row.owner, change.left) for change in made.rows] == [("", ["owner:ann"])]


async def test_timers_survive_a_cell_and_passivation() -> None:
    """A snoozed conversation wakes though its cell died and nobody touched it since."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event())
        until_ms = made.now_ms + 60_000
        await made.intake.command(
            actor="agent:ann", id="1", conversation=answer.stream, command=Snooze(until_ms=until_ms)
        )
        await made.archived()
        made.kill_cell(0)
        cell = await made.start_cell(0)
        assert cell.status()["alarms"] == 1
        await watch(made, answer.stream)
        made.updates.clear()
        made.now_ms = until_ms
        cell.tick(made.now_ms)
        await made.until(lambda: made.updates)
        assert b"ConversationWoken" in bytes(made.updates[0].events[0])


async def test_an_attempt_leaves_after_its_commit_and_once() -> None:
    """The effect follows the journaled attempt; a new cell gives it out again, marked."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await made.intake.command(actor="agent:ann", id="1", conversation=answer.stream, command=Reply(text="hi"))
        await made.until(lambda: made.delivers)
        assert (made.delivers[0].number, made.delivers[0].again) == (1, False)
        await made.archived()
        made.kill_cell(0)
        cell = await made.start_cell(0)
        cell.tick(made.now_ms)
        await made.until(lambda: len(made.delivers) == 2)
        assert made.delivers[1].again
        assert made.delivers[1].delivery == made.delivers[0].delivery
        made.report(made.delivers[1], "sent")
        await made.until(lambda: cell.status()["attempts_under_way"] == 0)


async def apply(made: World, version: int, **accounts: str) -> None:
    """A version with these accounts; who is there decides by it."""
    rules = {name: AccountRules(channel=channel) for name, channel in accounts.items()}
    body = packed(msgspec.structs.replace(POLICY, accounts=rules))
    applied = PolicyApplied(at_ms=1, actor="agent:ann", version=version, body=body, files={})
    entries = msgspec.msgpack.encode([(POLICY_STREAM, version, applied)])
    made.journal._notices.committed(0, Unit("shard:1", 1, 1, POLICY_STREAM, 1, [], 1, entries))
    if (cell := made.cell_actors[0]) is not None:
        await made.until(lambda: cell.status()["policy"] == version)


def unsent(made: World, conversation: str) -> list[tuple[str, str]]:
    """What the cell knows of its messages that have not left: states and reasons."""
    cell = made.cell_actors[0]
    live = cell._population.get(conversation.rpartition("-")[0]) if cell is not None else None
    found = live.journey.conversation(conversation) if live is not None and live.journey is not None else None
    return [(each.state, each.reason) for each in found.deliveries.values()] if found is not None else []


async def replied_by_a_line(made: World, *, served: bool) -> str:
    """A conversation with a reply by an account of the bundle's; `served`: a gateway is there to be given it."""
    await apply(made, 2, line="chat")
    answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
    if not served and (cell := made.cell_actors[0]) is not None:
        cell._outlet.dispatch._lines.clear()
    command = Reply(text="hi", account="line", to="web:1")
    await made.intake.command(actor="agent:ann", id="1", conversation=answer.stream, command=command)
    return answer.stream


async def test_an_attempt_that_waits_for_a_gateway_ends_with_its_account() -> None:
    """It never left: a dead letter that says why, and not one that is under way for ever."""
    async with world(cells=1) as made:
        conversation = await replied_by_a_line(made, served=False)
        assert unsent(made, conversation) == [("attempting", "")]
        await apply(made, 3)
        await made.until(lambda: unsent(made, conversation) == [("dead", "no account line is configured")])
        assert made.delivers == []


async def test_an_attempt_that_waits_ends_where_its_account_is_another_channels_by_now() -> None:
    """Whoever serves it now would speak to the customer on a channel that they were not on."""
    async with world(cells=1) as made:
        conversation = await replied_by_a_line(made, served=False)
        await apply(made, 3, line="chat", other="sms")
        assert unsent(made, conversation) == [("attempting", "")]
        await apply(made, 4, line="whatsapp")
        reason = "account line was a line of chat, and is one of whatsapp by now"
        await made.until(lambda: unsent(made, conversation) == [("dead", reason)])
        assert made.delivers == []


@pytest.mark.parametrize("between", [{}, {"line": "whatsapp"}])
async def test_no_later_attempt_goes_by_an_account_that_is_another_channels(between: dict[str, str]) -> None:
    """Also where the account was gone for a while; and who has the first attempt answers it as before."""
    async with world(cells=1) as made:
        conversation = await replied_by_a_line(made, served=True)
        await made.until(lambda: made.delivers)
        await apply(made, 3, **between)
        await apply(made, 4, line="whatsapp")
        assert unsent(made, conversation) == [("attempting", "")]
        made.report(made.delivers[0], "failed")
        await made.until(lambda: unsent(made, conversation)[0][0] == "waiting")
        made.now_ms += 60_000
        cell = made.cell_actors[0]
        assert cell is not None
        cell.tick(made.now_ms)
        reason = "account line was a line of chat, and is one of whatsapp by now"
        await made.until(lambda: unsent(made, conversation) == [("dead", reason)])
        assert len(made.delivers) == 1


async def test_an_attempt_that_was_given_out_is_not_said_to_be_refused() -> None:
    """Where its account is gone in the cell's next life, nobody knows what became of it."""
    async with world(cells=1) as made:
        conversation = await replied_by_a_line(made, served=True)
        await made.until(lambda: made.delivers)
        await made.archived()
        made.kill_cell(0)
        await apply(made, 3)
        cell = await made.start_cell(0)
        cell.tick(made.now_ms)
        reason = "no account line is configured; it may have left before"
        await made.until(lambda: unsent(made, conversation) == [("waiting", reason)])
        assert len(made.delivers) == 1


async def test_who_has_an_attempt_is_asked_again_though_the_account_is_gone() -> None:
    """As the customer comes back to memory: it is still under way, and its outcome is heard."""
    async with world(cells=1) as made:
        conversation = await replied_by_a_line(made, served=True)
        await made.until(lambda: made.delivers)
        await made.archived()
        await apply(made, 3)
        cell = made.cell_actors[0]
        assert cell is not None
        cell.leave(conversation.rpartition("-")[0])
        assert cell.status()["live_journeys"] == 0
        await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await made.until(lambda: len(made.delivers) == 2)
        assert (made.delivers[1].again, unsent(made, conversation)) == (True, [("attempting", "")])
        made.report(made.delivers[1], "sent")
        await made.until(lambda: unsent(made, conversation) == [])


async def test_a_store_that_fails_ambiguously_loses_and_doubles_nothing() -> None:
    """A commit that happened but was not answered is settled as committed when it is sent again."""
    async with world(cells=1) as made:
        await made.intake.submit(made.event("zero"))
        made.journal_store.fail_next = "ambiguous"
        under_way = asyncio.ensure_future(made.intake.submit(made.event("one")))
        await made.until(lambda: made.tasks["journal"].done())
        await made.restart_journal(lose_unsynced=False)
        answer = await under_way
        assert isinstance(answer, Answered)
        assert answer.status == "committed"
        records = await made.journal_store.read(0, 100)
        assert sum(record.entries for record in records) == 5


async def test_a_step_taken_while_an_append_is_concluded_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ann's words wait behind a large step of hers. When it is concluded they are decided, and so many journeys have
    gathered that an append would leave at once: Bob's step of the same append is not concluded yet."""
    monkeypatch.setattr("actors.cells.live.STEP_BYTES_MAX", 200)
    monkeypatch.setattr("actors.cells.gathering.APPEND_UNITS", 2)
    async with world(cells=1) as made:
        bob = ("mailto:bob@example.org",)
        await asyncio.gather(
            made.intake.submit(made.event("one")), made.intake.submit(made.event("one", identities=bob))
        )
        held, released = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            held.set()
            await released.wait()

        made.journal_store._before_sync = hold

        def say(text: str, *identities: str) -> Awaitable[Answered]:
            return asyncio.ensure_future(made.intake.submit(made.event(text, identities=identities or (ANN,))))

        said = [say("zero", *bob)]
        await held.wait()
        held.clear()
        said += [say("x" * 300), say("later 1"), say("later 2"), say("b1", *bob)]
        await _turns()
        released.set()
        released = asyncio.Event()
        await held.wait()
        said.append(say("b2", *bob))
        await _turns()
        released.set()
        made.journal_store._before_sync = None
        answers = await asyncio.gather(*said)
        assert [answer.status for answer in answers] == ["committed"] * 6


async def _turns() -> None:
    """Lets the loop turn, often enough for everything that is not held."""
    for _ in range(50):
        await asyncio.sleep(0)
