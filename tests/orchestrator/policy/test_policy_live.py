"""The policy, live: applied, told to every cell before it is answered, kept over every part's restart."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from actors.cells.loading import reached
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.front import Front
from orchestrator.policy.desk import PolicyDesk
from orchestrator.policy.first import set_up_of
from orchestrator.settings import GatewayAccount, Limits, Placement, Settings, Store
from protocol.commands import Reply
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, ConversationOpened, InteractionStarted, MessageQueued, MessageReceived
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered

NOW_MS = 1_800_000_000_000
CORE = ("journal", "archive", "cell-0", "cell-1")
PLACEMENTS: dict[Placement, tuple[str, ...]] = {"pooled": CORE, "dedicated": (*CORE, "usher")}
RESTARTS = [(placement, name) for placement, core in PLACEMENTS.items() for name in core]
BILLS = {"general.yaml": "queue_default: bills\n"}
CLAIMS = {"general.yaml": "queue_default: claims\n"}

_number = itertools.count(1)
_event = msgspec.json.Decoder(AnyEvent).decode


class Server:
    """A server in one loop, with a front and a desk such as a gateway has."""

    def __init__(self, settings: Settings, running: InProcess, front: Front) -> None:
        self.running = running
        self.front = front
        self.desk = PolicyDesk(set_up_of(settings), front.in_force, front.cells.deciders, front.intake, front.archive)

    async def apply(self, files: dict[str, str], *, base: int = 0, note: str = "") -> int:
        """Applies a bundle; returns its version. All cells decide by it then."""
        applied = await self.desk.apply(files, actor="operator:olga", id=f"a{next(_number)}", note=note, base=base)
        assert applied.late == []
        return applied.version

    async def say(self, who: str, text: str = "hello", *, account: str = "chat") -> list[AnyEvent]:
        """A customer's word; returns what is committed of its conversation from it on."""
        answered = await self.send(who, text, account=account)
        return [event for _, event in await self.read(answered.stream, after=answered.seq - 1)]

    async def opens(self, who: str, *, account: str = "chat") -> ConversationOpened:
        """The same of one with whom nothing is open: the conversation that it began."""
        opened, *_ = await self.say(who, account=account)
        assert isinstance(opened, ConversationOpened)
        return opened

    async def read(self, stream: str, *, after: int = 0) -> list[tuple[int, AnyEvent]]:
        """What is committed of a conversation, with its numbers."""
        stored = await self.front.archive.events_of_stream(stream, after, 100)
        return [(each.seq, _event(each.body)) for each in stored]

    async def send(self, who: str, text: str, *, account: str = "chat") -> Answered:
        """A customer's word, and the answer to it once the archive has it."""
        event = InboundEvent(
            id=f"e{next(_number)}",
            source="test",
            account=account,
            channel=account,
            time_ms=NOW_MS,
            identities=[f"user:{who}"],
            data=MessageArrived(text=text),
        )
        answered = await self.front.intake.submit(event)
        await reached(self.front.archive, answered.position)
        return answered


@asynccontextmanager
async def server(folder: Path, placement: Placement, *, store: Store = "memory") -> AsyncIterator[Server]:
    """Two cells, or two seats."""
    settings = Settings(
        data=str(folder),
        store=store,
        cells=2,
        placement=placement,
        limits=Limits(dedicated_max=3, dedicated_warm=2),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    async with in_process(settings, folder, now_ms=lambda: NOW_MS, only=PLACEMENTS[placement]) as running:
        front = Front(running.surroundings("gateway"))
        await front.start()
        made = Server(settings, running, front)
        yield made
        await made.front.stop()


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_what_is_applied_decides_and_is_named(tmp_path: Path, placement: Placement) -> None:
    """Before: the settings' version 1. After the answer every cell decides by version 2, and every unit names it."""
    async with server(tmp_path, placement) as here:
        opened = await here.opens("ann")
        assert (opened.queue, opened.policy) == ("default", 1)
        assert await here.apply(BILLS) == 2
        for who in ("bob", "cid", "dan", "eve"):
            opened = await here.opens(who)
            assert (opened.queue, opened.policy) == ("bills", 2)
        [more] = await here.say("ann")
        assert more.policy == 2


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(("placement", "name"), RESTARTS)
async def test_the_newest_version_outlives_every_part(
    tmp_path: Path, placement: Placement, name: str, store: Store
) -> None:
    """Whichever part is replaced, the next customer is met by the newest version."""
    async with server(tmp_path, placement, store=store) as here:
        await here.apply(BILLS)
        await here.apply(CLAIMS)
        await here.running.restart(name)
        opened = await here.opens("ann")
        assert (opened.queue, opened.policy) == ("claims", 3)


@pytest.mark.parametrize("before", PLACEMENTS)
@pytest.mark.parametrize("after", PLACEMENTS)
async def test_it_outlives_a_stop(tmp_path: Path, before: Placement, after: Placement) -> None:
    """Also where the next start places otherwise."""
    async with server(tmp_path, before, store="sqlite") as here:
        await here.apply(BILLS)
    async with server(tmp_path, after, store="sqlite") as here:
        opened = await here.opens("ann")
        assert (opened.queue, opened.policy) == ("bills", 2)
        assert (await here.desk.version(2)).files == BILLS


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_history_and_going_back(tmp_path: Path, placement: Placement) -> None:
    """Each version says who, when and why; going back makes a new one, and nothing is taken out."""
    async with server(tmp_path, placement) as here:
        await here.apply(BILLS, note="first")
        await here.apply(CLAIMS)
        back = await here.desk.roll_back(2, actor="operator:olga", id="back", note="claims are full")
        assert (back.version, back.late) == (4, [])
        assert [(v.version, v.actor, v.note) for v in await here.desk.history(limit=10)] == [
            (4, "operator:olga", "back to version 2: claims are full"),
            (3, "operator:olga", ""),
            (2, "operator:olga", "first"),
            (1, "", "as the settings say"),
        ]
        assert [v.version for v in await here.desk.history(limit=2, before=4)] == [3, 2]
        assert (await here.desk.version(4)).files == BILLS
        assert (await here.opens("ann")).queue == "bills"
        again = await here.desk.roll_back(2, actor="operator:olga", id="back", note="claims are full")
        assert (again.version, again.status) == (4, "repeat")


async def test_the_history_reads_no_version_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred bundles of half a megabyte are not what a list of notes should take."""
    async with server(tmp_path, "pooled") as here:
        await here.apply(BILLS, note="first")
        monkeypatch.setattr(here.front.archive, "events_of_stream", None)
        assert [(v.version, v.note) for v in await here.desk.history(limit=10)] == [
            (2, "first"),
            (1, "as the settings say"),
        ]
        assert await here.desk.history(limit=10, before=1) == []


async def test_going_back_to_the_settings(tmp_path: Path) -> None:
    """Version 1 has no files; as a new version it is what the settings say now."""
    async with server(tmp_path, "pooled") as here:
        await here.apply(BILLS)
        assert (await here.desk.roll_back(1, actor="operator:olga", id="back")).version == 3
        assert (await here.opens("ann")).queue == "default"


async def test_who_looked_at_another_version_is_refused(tmp_path: Path) -> None:
    """`base` is what the bundle was made on."""
    async with server(tmp_path, "pooled") as here:
        await here.apply(BILLS, base=1)
        with pytest.raises(Refusal, match="version 2 was applied meanwhile") as refused:
            await here.apply(CLAIMS, base=1)
        assert refused.value.code == Code.NOT_ALLOWED_NOW


async def test_one_id_has_one_effect(tmp_path: Path) -> None:
    """A repeated application makes no second version."""
    async with server(tmp_path, "pooled") as here:
        one = await here.desk.apply(BILLS, actor="operator:olga", id="x")
        two = await here.desk.apply(BILLS, actor="operator:olga", id="x")
        assert (one.version, one.status, two.version, two.status) == (2, "committed", 2, "repeat")


async def test_a_wrong_bundle_changes_nothing(tmp_path: Path) -> None:
    """The refusal has every error, and the version before stays."""
    async with server(tmp_path, "pooled") as here:
        with pytest.raises(Refusal, match=r"general\.yaml:1: .*queue_default"):
            await here.apply({"general.yaml": "queue_defualt: x\nattempts_max: many\n"})
        assert here.desk.policy.version == 1


PINNED = {"general.yaml": "live_conversations: pinned\nclose_after_resolved: 5 days\n"}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("restarted", [False, True])
async def test_pinned_conversations_stay_with_their_version(
    tmp_path: Path, placement: Placement, restarted: bool
) -> None:
    """Where the newest bundle says so; new ones begin under it, and both go on over a cell's restart."""
    async with server(tmp_path, placement) as here:
        await here.say("ann")
        await here.apply(PINNED)
        await here.say("bob")
        await here.apply(PINNED | {"queues.yaml": "chat: chats\n"})
        if restarted:
            for name in ("cell-0", "cell-1"):
                await here.running.restart(name)
        assert [(await here.say(who))[0].policy for who in ("ann", "bob", "cid")] == [1, 2, 3]
        await here.apply({})
        assert [(await here.say(who))[0].policy for who in ("ann", "bob", "cid")] == [4, 4, 4]


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_gateway_that_starts_knows_the_accounts(tmp_path: Path, placement: Placement) -> None:
    """From its very first event on: what it would refuse then, a client would not send again."""
    async with server(tmp_path, placement) as here:
        await here.apply(WHATSAPP)
        await here.front.stop()
        here.front = Front(here.running.surroundings("gateway"))
        await here.front.start()
        assert (await here.opens("ann", account="whatsapp")).queue == "messages"


WHATSAPP = {"accounts.yaml": "whatsapp:\n  channel: whatsapp\n  queue: messages\n"}


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_new_channel_is_live_without_a_restart(tmp_path: Path, placement: Placement) -> None:
    """Its account is refused before, taken in and queued after, and refused once it is taken out of the bundle."""
    async with server(tmp_path, placement) as here:
        with pytest.raises(Refusal, match="no account 'whatsapp'"):
            await here.say("ann", account="whatsapp")
        await here.apply(WHATSAPP)
        [opened, started, *_] = await here.say("ann", account="whatsapp")
        assert isinstance(opened, ConversationOpened)
        assert isinstance(started, InteractionStarted)
        assert (opened.queue, started.channel, started.account) == ("messages", "whatsapp", "whatsapp")
        await here.apply({})
        with pytest.raises(Refusal, match="no account 'whatsapp'"):
            await here.say("ann", account="whatsapp")


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("live", ["follow", "pinned"])
async def test_nobody_replies_by_an_account_that_is_gone(tmp_path: Path, placement: Placement, live: str) -> None:
    """The agent hears it at once, and which there are; also of a conversation that stays with the version which had it,
    and over a cell's restart. Once the account is back, or they name another one, the reply leaves."""
    other = {"accounts.yaml": "signal:\n  channel: whatsapp\n", "general.yaml": f"live_conversations: {live}\n"}
    async with server(tmp_path, placement) as here:
        await here.apply(WHATSAPP | {"general.yaml": f"live_conversations: {live}\n"})
        conversation = (await here.send("ann", "hello", account="whatsapp")).stream

        async def reply(**fields: str) -> list[AnyEvent]:
            answered = await here.front.intake.command(
                actor="agent:olga", id=f"r{next(_number)}", command=Reply(text="a", **fields), conversation=conversation
            )
            await reached(here.front.archive, answered.position)
            return [event for _, event in await here.read(conversation, after=answered.seq - 1)]

        await here.apply(other)
        for name in ("", "cell-0", "cell-1"):
            if name:
                await here.running.restart(name)
            with pytest.raises(Refusal, match="no account whatsapp is configured; whatsapp has signal"):
                await reply()
        started, queued, *_ = await reply(account="signal", to="user:ann")
        assert isinstance(started, InteractionStarted)
        assert isinstance(queued, MessageQueued)
        assert (started.account, queued.account) == ("signal", "signal")
        await here.apply(WHATSAPP)
        queued, *_ = await reply(account="whatsapp")
        assert isinstance(queued, MessageQueued)
        assert queued.account == "whatsapp"


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_nothing_is_lost_while_versions_change(tmp_path: Path, placement: Placement) -> None:
    """Customers speak all the while; each word is committed once, in order, under a version that was applied."""
    texts = [f"word {number}" for number in range(12)]
    async with server(tmp_path, placement) as here:

        async def speak(who: str) -> str:
            return [(await here.send(who, text)).stream for text in texts][-1]

        async def switch() -> None:
            for number in range(8):
                await here.apply({"general.yaml": f"queue_default: q{number}\n"})

        streams, _ = await asyncio.gather(asyncio.gather(*(speak(f"c{n}") for n in range(3))), switch())
        assert len(set(streams)) == 3
        for stream in streams:
            told = await here.read(stream)
            assert [seq for seq, _ in told] == list(range(1, len(told) + 1))
            assert [event.text for _, event in told if isinstance(event, MessageReceived)] == texts
            versions = [event.policy for _, event in told if event.policy]  # The first of a unit names it.
            assert versions == sorted(versions)
            assert set(versions) <= set(range(1, 10))
            assert len(set(versions)) > 1, "no version changed while they spoke"
