"""Erasing a customer: nothing of the person in any file, all that is counted as before, and the act recorded."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.archive.archive import rebuild
from actors.cells.loading import reached
from actors.identity.mixed import PACKED_MAX
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.policy import Policy
from actors.state.closing import CLOSED_MAX
from adapters.attachments import AttachmentStore
from adapters.channels.email import taking
from adapters.channels.email.taking import Elsewhere
from adapters.stores.archive.schema import TABLES
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.archive.timeline import EntriesWanted
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from adapters.stores.journal.sqlite import SqliteJournal
from orchestrator.cli.serve import _erase_waiting
from orchestrator.data_layout import ERASURES
from orchestrator.erasure.erasing import Act, Erased, customer_meant, erase, survey
from orchestrator.erasure.pending import Waiting, ask, waiting
from orchestrator.feed.feed import read_page
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts import cell
from orchestrator.parts.front import Front
from orchestrator.policy.first import policy_of
from orchestrator.policy.former_lines import Lines
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, PolicySettings, Settings
from orchestrator.storage import SqliteStorage
from protocol.commands import (
    AddNote,
    AnyCommand,
    BeginReplay,
    Join,
    LinkIdentity,
    MarkReplayed,
    MergeCustomers,
    ReplayDelivery,
    Reply,
    Resolve,
    SetContext,
    Split,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.entities import Direction
from protocol.errors import Code, Refusal
from protocol.ids import customer_of
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    Attachment,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
    PastConversation,
    PastMessage,
)
from protocol.links import Answered, CustomerRead, Outcome, ReadCustomer
from tests.adapters.channels.letters import letter
from tests.adapters.stores.dropping import drop_all, over_before

NOW_MS = 1_800_000_000_000
ANN, ANNS_APP, BOB = "mailto:ann.secretive@example.org", "user:ann-secretive-77", "mailto:bob@example.org"
WORDS = (b"ann.secretive", b"ann-secretive-77", b"Zanzibar", b"zanzibar", b"quokka", b"petrichor", b"serendipity")
"""What must not be found anywhere afterwards."""
ACT = Act(customer="", actor="operator:root", reason="their request", at_ms=NOW_MS + 1000)
CORE = ("journal", "archive", "cell-0")


def settings_of(folder: Path, placement: Placement = "pooled") -> Settings:
    """One cell, one trusted account."""
    return Settings(
        data=str(folder),
        cells=1,
        placement=placement,
        limits=Limits(dedicated_max=2, dedicated_warm=2),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )


@asynccontextmanager
async def server(
    settings: Settings, now_ms: Callable[[], int] = lambda: NOW_MS
) -> AsyncIterator[tuple[InProcess, Front]]:
    """Stores, one cell and a front."""
    only = CORE if settings.placement == "pooled" else (*CORE, "usher")
    async with in_process(settings, Path(settings.data), now_ms=now_ms, only=only) as running:
        front = Front(running.surroundings("gateway"))
        await front.start()
        yield running, front
        await front.stop()


def arrival(id: str, data: AnyData, *identities: str) -> InboundEvent:
    """An event of the chat account."""
    return InboundEvent(
        id=id, source="test", account="chat", channel="chat", time_ms=NOW_MS, identities=[*identities], data=data
    )


async def lived(front: Front, store: AttachmentStore) -> tuple[str, str]:
    """Ann and Bob: messages, files, a note, context, what they saw, conflicts, quarantine. Returns both customers."""
    only, shared = store.keep(b"the bill of Zanzibar"), store.keep(b"terms")
    files = [Attachment(name="quokka.pdf", sha256=only), Attachment(name="terms.pdf", sha256=shared)]
    ann = await front.intake.submit(
        arrival("quokka-1", MessageArrived(text="I live in Zanzibar", subject="quokka", attachments=files), ANN)
    )
    bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi", attachments=files[1:]), BOB))
    seen = ActivityArrived(name="bill.viewed", properties={"place": "Zanzibar"})
    await front.intake.submit(arrival("a2", seen, ANN, ANNS_APP))
    # Bob's client claims Ann's address: a conflict, in Bob's own stream, that names it.
    await front.intake.submit(arrival("b2", MessageArrived(text="me again"), BOB, ANN))
    # Another payload under the same id: quarantined whole, in Ann's own stream.
    await front.intake.submit(arrival("quokka-1", MessageArrived(text="Zanzibar, really"), ANN))
    await front.intake.quarantine(
        account="chat",
        source="test",
        id="q",
        refusal=Refusal(Code.INVALID, "wrong"),
        raw=b'{"from": "ann.secretive@Example.org"}',
    )
    for command in (AddNote(text="petrichor"), SetContext(key="hint", value="serendipity")):
        await front.intake.command(
            actor="agent:bo", id=f"c-{command}", command=command, conversation=ann.stream, customer=""
        )
    return ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")


async def erased(settings: Settings, customer: str, **act: Any) -> Erased:
    """Erases, without a look at the progress."""
    return await erase(settings, msgspec.structs.replace(ACT, customer=customer, **act), lambda at, head: None)


def found(folder: Path) -> list[tuple[str, bytes]]:
    """Files that have any of the words."""
    files = [file for file in folder.rglob("*") if file.is_file() and "log" not in file.parts]
    return [(file.name, word) for file in files for word in WORDS if word in file.read_bytes()]


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_nothing_of_the_person_is_left_and_all_that_is_counted(tmp_path: Path, placement: Placement) -> None:
    """In the journal, the archive with its full text and snapshots, the attachments, and other customers' conflicts."""
    settings, store = settings_of(tmp_path, placement), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, bob = await lived(front, store)
        await reached(front.archive, await front.journal.position())
        before = await front.archive.counts()
        kinds = [e["type"] for e in await timeline(front, ann)]
    assert {name for name, _ in found(tmp_path)} >= {"journal.sqlite", "archive.sqlite"}
    done = await erased(settings, ann)
    assert (done.customer, done.mentions, done.files) == (ann, 2, 1)
    assert found(tmp_path) == []
    assert store.read(hashlib.sha256(b"terms").hexdigest()) == b"terms"
    async with server(settings) as (_, front):
        after = await front.archive.counts()
        assert after["events"] == before["events"] + 2
        assert (after["customers"], after["conversations"]) == (before["customers"], before["conversations"])
        entries = await timeline(front, ann)
        assert [e["type"] for e in entries[2:]] == kinds
        act, closed = entries[0], entries[1]
        assert (act["type"], act["actor"], act["event"]["reason"]) == (
            "CustomerErased",
            "operator:root",
            "their request",
        )
        assert (closed["type"], act["at_ms"], act["position"]) == ("ConversationClosed", ACT.at_ms, done.position)
        assert [e["event"].get("text") for e in await timeline(front, bob) if e["type"] == "MessageReceived"] == [
            "me again",
            "hi",
        ]


async def test_what_was_asked_of_a_running_server_is_done_when_it_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until then nothing is gone; by `throughline serve`, which does it before it starts and after it has ended."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, _ = await lived(front, store)
        ask(tmp_path / ERASURES, Waiting(customer=ann, actor="operator:olga", reason="their request", asked_at_ms=1))
    assert found(tmp_path) != []
    await asyncio.to_thread(_erase_waiting, settings)
    said = " ".join(capsys.readouterr().err.split())
    assert f"Erased {ann}, as operator:olga asked; and what accounts had refused that named them: chat.1." in said
    assert found(tmp_path) == []
    assert waiting(tmp_path / ERASURES) == []
    async with server(settings) as (_, front):
        acts = [entry for entry in await timeline(front, ann) if entry["type"] == "CustomerErased"]
        assert [act["actor"] for act in acts] == ["operator:olga"]


async def timeline(front: Front, customer: str) -> list[dict[str, Any]]:
    """All of a customer's entries."""
    entries = await front.archive.timeline(customer, EntriesWanted(), limit=1000)
    assert entries is not None
    return entries


async def test_the_feed_and_a_rebuilt_archive_know_no_more(tmp_path: Path) -> None:
    """The archive is what the redacted journal makes; the feed gives the same events, without words."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, _ = await lived(front, store)
    await erased(settings, ann)
    storage = SqliteStorage(settings)
    journal = storage.journal_reader()
    await storage.open_readers()
    page = await read_page(journal, "", limit=1000)
    assert [e.type for e in page.events if e.customer == ann].count("MessageReceived") == 1
    assert not [word for word in WORDS if word in msgspec.json.encode(page)]
    await storage.close_readers()
    await check_against_rebuilt(settings)


async def check_against_rebuilt(settings: Settings) -> None:
    """The archive has the rows that the journal makes; it is made anew."""
    storage = SqliteStorage(settings)
    journal, archive = storage.journal_reader(), storage.archive()
    # Also where they differ: what is left open fails a later test, with a word on nothing but that.
    async with AsyncExitStack() as stack:
        stack.push_async_callback(storage.close_readers)
        await storage.open_readers()
        stack.push_async_callback(archive.close)
        await archive.open()
        now = {table: await rows(archive, table) for table in TABLES}
        await rebuild(journal, archive, lambda at, head: None)
        for table, kept in now.items():
            assert await rows(archive, table) == kept, table


async def rows(archive: Any, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table."""
    sql = f"SELECT * FROM {table}"
    found: list[tuple[Any, ...]] = await archive._db.run(lambda db: db.execute(sql).fetchall())
    return sorted(found, key=repr)


async def test_what_was_refused_of_them_goes_in_whatever_form_it_is_kept(tmp_path: Path) -> None:
    """A mail that lies in a file, the files of an event, and what somebody made of an input; that it came in stays."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    mail = store.keep(b"Return-Path: <>\r\nFrom: Ann.Secretive@example.org\r\n\r\nZanzibar")
    others = store.keep(b"From: bob@example.org\r\n\r\nhello")
    file = Attachment(name="q.pdf", sha256=store.keep(b"quokka"))
    late = arrival("q2", MessageArrived(text="serendipity", attachments=[file]), ANN)
    wanted = arrival("q3", MessageArrived(text="petrichor"), ANN)
    raws = [*(msgspec.json.encode(Elsewhere(message_sha256=each, size_bytes=9)) for each in (mail, others))]
    raws += [msgspec.json.encode(late), b'{"from": "nobody", "text": "petrichor"}']
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        for raw in raws:
            await front.intake.quarantine(
                account="chat", source="test", id=f"{raw!r}"[:40], refusal=Refusal(Code.INVALID, "no"), raw=raw
            )
        for quarantine, form in (("chat.3", b""), ("chat.4", msgspec.json.encode(wanted))):
            replayed = (
                BeginReplay(quarantine=quarantine, raw=form),
                MarkReplayed(quarantine=quarantine, stream="s", seq=1),
            )
            for command in replayed:
                await front.intake.command(
                    actor="operator:olga", id=f"{command}", command=command, customer="account:chat"
                )
    done = await erased(settings, ann)
    assert found(tmp_path) == []
    assert done.files == 2
    assert store.read(others)
    storage = SqliteStorage(settings)
    archive = storage.archive()
    await archive.open()
    kept = {row[0]: row for row in await rows(archive, "quarantine")}
    await archive.close()
    assert [bool(kept[f"chat.{n}"][9]) for n in (1, 2, 3, 4)] == [False, True, False, False]
    await check_against_rebuilt(settings)


async def test_files_that_nothing_names_any_more_go(tmp_path: Path) -> None:
    """Those of a refused mail that somebody looked at, of one that was never submitted, and of an erasure that ended
    before it came to them."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    body = "--xx\nContent-Type: text/plain\n\npetrichor\n--xx\nContent-Disposition: attachment\n\nquokka\n--xx--\n"
    mail = letter(body, from_="ann.secretive@example.org", content_type="multipart/mixed; boundary=xx")
    raw = taking.kept(mail, sender="ann.secretive@example.org", attachments=store)
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        await front.intake.quarantine(
            account="chat", source="test", id="m", refusal=Refusal(Code.TOO_LARGE, "no"), raw=raw
        )
    taking.read_again(raw, account="chat", address="us@example.org", arrived_ms=NOW_MS, attachments=store)
    store.keep(b"serendipity")
    done = await erased(settings, ann)
    assert found(tmp_path) == []
    assert done.files == 2


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_who_comes_again_is_somebody_new(tmp_path: Path, placement: Placement) -> None:
    """Their address is free; the erased conversation is closed, and no command finds it."""
    settings, store = settings_of(tmp_path, placement), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, bob = await lived(front, store)
    await erased(settings, ann)
    async with server(settings) as (_, front):
        again = await front.intake.submit(arrival("n1", MessageArrived(text="hello"), ANN))
        assert again.stream.removesuffix("-1") not in (ann, bob)
        with pytest.raises(Refusal) as refused:
            await note(front, f"{ann}-1")
        assert refused.value.code == Code.NOT_FOUND
        assert (await front.intake.submit(arrival("b3", MessageArrived(text="and I"), BOB))).stream == f"{bob}-1"


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_what_a_source_says_again_of_who_is_forgotten_does_not_come_back(
    tmp_path: Path, placement: Placement
) -> None:
    """A gateway's retry is a repeat, of nobody: before anybody has the address, to whoever has it then, in another life
    of the server, and where that one is forgotten too."""
    settings, store = settings_of(tmp_path, placement), AttachmentStore(tmp_path / "attachments")
    store.open()
    seen = ActivityArrived(name="bill.viewed", properties={"place": "Zanzibar"})
    again = [
        arrival("quokka-1", MessageArrived(text="I live in Zanzibar", subject="quokka"), ANN),
        arrival("a2", seen, ANN, ANNS_APP),
    ]
    async with server(settings) as (_, front):
        for event in again:
            first = await front.intake.submit(event)
    ann = first.stream.removesuffix("-1")
    await erased(settings, ann)

    async def comes_again(front: Front) -> None:
        for event in again:
            answered = await front.intake.submit(event)
            assert (answered.status, answered.stream, answered.seq) == ("repeat", "", 0)

    async with server(settings) as (_, front):
        await comes_again(front)
        assert await front.journal.customers_of([ANN, ANNS_APP]) == {}
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        new = await front.intake.submit(arrival("n1", MessageArrived(text="hello"), ANN))
        assert (new.status, ann in new.stream) == ("committed", False)
        await comes_again(front)
        await reached(front.archive, new.position)
        told = [entry["event"] for entry in await timeline(front, customer_of(new.stream))]
        assert ann not in msgspec.json.encode(told).decode()
    async with server(settings) as (_, front):
        await comes_again(front)
    assert {word for _, word in found(tmp_path)} == {b"ann.secretive"}
    await erased(settings, customer_of(new.stream))
    async with server(settings) as (_, front):
        await comes_again(front)
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("had", "written"),
    [("user:Zoe\u0301", "user:Zo\u00e9"), ('mailto:"zoe"@example.org', "mailto:zoe@example.org")],
)
@pytest.mark.parametrize("unlinked", [False, True])
async def test_it_does_not_come_back_by_the_address_as_it_is_spelled_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: str, written: str, unlinked: bool
) -> None:
    """Who was known by a former spelling alone is forgotten by the one that whatever comes has today, too; also where
    it had been unlinked before."""
    settings, said = settings_of(tmp_path), MessageArrived(text="I live in Zanzibar")
    async with server(settings) as (_, front):
        with monkeypatch.context() as earlier:
            earlier.setattr(front.intake, "spelled", lambda identity: identity)
            first = await front.intake.submit(arrival("a1", said, had))
        zoes = customer_of(first.stream)
        if unlinked:
            unlink = UnlinkIdentity(identity=had)
            first = await front.intake.command(actor="agent:bo", id="u", command=unlink, customer=zoes)
        await reached(front.archive, first.position)
    await erased(settings, zoes)
    async with server(settings) as (_, front):
        for address in (had, written):
            again = await front.intake.submit(arrival("a1", said, address))
            assert (again.status, again.stream) == ("repeat", "")
        new = await front.intake.submit(arrival("a2", said, written))
        assert new.status == "committed"
    assert (await erased(settings, customer_of(new.stream))).customer != zoes
    assert found(tmp_path) == []


async def test_what_was_unlinked_from_who_is_forgotten_is_known_at_its_address_too(tmp_path: Path) -> None:
    """It is nobody's, by its once-keys theirs, and it goes as the others do."""
    settings, app = settings_of(tmp_path), "user:quokka"
    said = arrival("a1", MessageArrived(text="Zanzibar"), app)
    async with server(settings) as (_, front):
        ann = customer_of((await front.intake.submit(said)).stream)
        await link(front, ann, ANN)
        unlink = UnlinkIdentity(identity=app)
        await front.intake.command(actor="agent:bo", id="u", command=unlink, conversation="", customer=ann)
    await erased(settings, ann)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        assert (await front.intake.submit(said)).status == "repeat"
    assert found(tmp_path) == []


async def test_refused_input_of_who_is_forgotten_does_not_come_in_once_it_would_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words lay in quarantine, and were to go from there."""
    settings = settings_of(tmp_path)
    fields = (Field(name="claim", pattern="C-[0-9]+", when_missing="quarantine"),)
    strict = CaptureRules(templates=(Template(channel="chat", events=("message",), fields=fields),))
    said = arrival("quokka-1", MessageArrived(text="I live in Zanzibar"), ANN)

    def strictly(settings: Settings, noted: Iterable[Lines] = ()) -> Policy:
        return msgspec.structs.replace(policy_of(settings), capture=strict)

    monkeypatch.setattr(cell, "policy_of", strictly)
    async with server(settings) as (_, front):
        assert (await front.intake.submit(said)).status == "quarantined"
        [ann] = set((await front.journal.customers_of([ANN])).values())
    await erased(settings, ann)
    for policy in (strictly, policy_of):
        monkeypatch.setattr(cell, "policy_of", policy)
        async with server(settings) as (_, front):
            again = await front.intake.submit(said)
            assert (again.status, again.stream) == ("repeat", "")
        assert found(tmp_path) == []


async def test_what_an_account_kept_of_who_is_forgotten_does_not_come_in_once_it_is_mended(tmp_path: Path) -> None:
    """It fitted nothing, so that no payload is known of it: whatever comes under its name from their address is a
    repeat, of nobody, in another life of the server and at the next who is forgotten. What others sent so comes in."""
    settings = settings_of(tmp_path)
    mended = arrival("quokka-1", MessageArrived(text="I live in Zanzibar"), ANN)
    bobs = arrival("b1", MessageArrived(text="hi"), BOB)
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        for event in (mended, bobs):
            raw = msgspec.json.encode(msgspec.structs.replace(event, time_ms=0))
            refusal = Refusal(Code.INVALID, "the time is wrong")
            await front.intake.quarantine(account="chat", source="test", id=event.id, refusal=refusal, raw=raw)
    await erased(settings, ann)
    for id in ("n1", "n2"):
        async with server(settings) as (_, front):
            for text in ("I live in Zanzibar", "In Zanzibar I live"):
                event = msgspec.structs.replace(mended, data=MessageArrived(text=text))
                again = await front.intake.submit(event)
                assert (again.status, again.stream) == ("repeat", "")
            heir = await front.intake.submit(arrival(id, MessageArrived(text="hello"), ANN))
            assert heir.status == "committed"
            assert (await front.intake.submit(bobs)).status == ("committed" if id == "n1" else "repeat")
        await erased(settings, customer_of(heir.stream))
    assert found(tmp_path) == []


async def link(front: Front, customer: str, identity: str) -> None:
    """An agent says that it is theirs."""
    command = LinkIdentity(identity=identity)
    await front.intake.command(
        actor="agent:bo", id=f"l-{identity}", command=command, conversation="", customer=customer
    )


async def note(front: Front, conversation: str) -> Answered:
    """An agent writes a note."""
    return await front.intake.command(actor="agent:bo", id="n", command=AddNote(text="n"), conversation=conversation)


async def test_it_may_be_done_again(tmp_path: Path) -> None:
    """What is done is done; who was interrupted finishes. The act is recorded once."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, _ = await lived(front, store)
    first = await erased(settings, ann)
    again = await erased(settings, ann)
    assert (first.position > 0, again.position) == (True, 0)
    async with server(settings) as (_, front):
        assert [e["type"] for e in await timeline(front, ann)].count("CustomerErased") == 1


async def test_whoever_is_not_there_cannot_be_erased(tmp_path: Path) -> None:
    """And nothing is written, also where it is a conversation's id that was copied."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        said = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
    for no_person in ("cunobody", "policy", "report", "account:chat", said.stream, f"{said.stream}.2", ""):
        with pytest.raises(Refusal) as refused:
            await erased(settings, no_person)
        assert refused.value.code == Code.NOT_FOUND
    async with server(settings) as (_, front):
        assert await front.journal.position() == said.position


@pytest.mark.parametrize("written", [ANN, "MAILTO: Ann.Secretive@example.org"])
async def test_a_person_is_found_by_an_address_of_theirs(tmp_path: Path, written: str) -> None:
    """However it is written; an id is taken as it is, and nobody's address is refused and not taken for an id."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        said = await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))
    ann = said.stream.removesuffix("-1")
    assert await customer_meant(settings, written) == ann
    assert await customer_meant(settings, ann) == ann
    with pytest.raises(Refusal, match="no customer has the address") as refused:
        await customer_meant(settings, BOB)
    assert refused.value.code == Code.NOT_FOUND
    await erased(settings, ann)
    with pytest.raises(Refusal, match="goes on by the customer's id"):
        await customer_meant(settings, written)


@pytest.mark.parametrize("had", ['mailto:"ann"@example.org', "mailto:ann b@example.org"])
async def test_a_person_is_found_by_an_address_of_an_earlier_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: str
) -> None:
    """Who is known by no other would be for ever."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        with monkeypatch.context() as earlier:
            earlier.setattr(front.intake, "spelled", lambda identity: identity)
            said = await front.intake.submit(arrival("a1", MessageArrived(text="hi"), had))
    assert await customer_meant(settings, had) == said.stream.removesuffix("-1")
    with pytest.raises(Refusal, match=r"must be local@domain"):
        await customer_meant(settings, "mailto:bob b@example.org")


async def closed(front: Front, conversation: str) -> None:
    """Returns when it is, in the archive."""
    while (await front.archive.conversation(conversation) or {}).get("status") != "closed":  # noqa: ASYNC110 - a timer's
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_what_was_written_down_after_the_closing_goes_too(tmp_path: Path, placement: Placement) -> None:
    """A call's transcript stands in a conversation that was closed, with its file, its subject and what it told."""
    settings, store = settings_of(tmp_path, placement), AttachmentStore(tmp_path / "attachments")
    settings = msgspec.structs.replace(settings, policy=PolicySettings(close_after_resolved_s=0))
    store.open()
    files = [Attachment(name="quokka.pdf", sha256=store.keep(b"the bill of Zanzibar"))]
    transcript = MessageArrived(
        text="I live in Zanzibar", subject="quokka", session="s", attachments=files, context={"hint": "serendipity"}
    )
    async with server(settings) as (_, front):
        call = await front.intake.submit(arrival("c1", InteractionBegan(session="s"), ANN))
        await front.intake.submit(arrival("c2", InteractionStopped(session="s"), ANN))
        await front.intake.command(actor="agent:bo", id="r", command=Resolve(), conversation=call.stream)
        await closed(front, call.stream)
        late = await front.intake.submit(arrival("c3", transcript, ANN))
        assert late.stream == call.stream
        await reached(front.archive, late.position)
    await check_against_rebuilt(settings)
    assert {name for name, _ in found(tmp_path)} >= {"journal.sqlite", "archive.sqlite"}
    assert (await erased(settings, call.stream.removesuffix("-1"))).files == 1
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


async def test_what_retention_left_of_them_is_as_a_rebuilt_archive_has_it(tmp_path: Path) -> None:
    """The rows of a conversation that was dropped tell more than the facts that are left of it do."""
    settings = msgspec.structs.replace(settings_of(tmp_path), policy=PolicySettings(close_after_resolved_s=0))
    async with server(settings) as (_, front):
        said = await front.intake.submit(arrival("m1", MessageArrived(text="Zanzibar", subject="quokka"), ANN))
        await front.intake.command(actor="agent:bo", id="r", command=Resolve(), conversation=said.stream)
        await closed(front, said.stream)
    archive = SqliteStorage(settings).archive()
    await archive.open()
    assert (await drop_all(archive, over_before(NOW_MS + 1)))["closed_conversations"] == 1
    await archive.close()
    await erased(settings, said.stream.removesuffix("-1"))
    await check_against_rebuilt(settings)


async def dropped(settings: Settings, before_ms: int = NOW_MS + 1, *, at_ms: int = 0) -> dict[str, int]:
    """Retention drops from the archive all that is over. The journal is kept longer, as the policy may say."""
    archive = SqliteStorage(settings).archive()
    await archive.open()
    counts = await drop_all(archive, over_before(before_ms, at_ms=at_ms))
    await archive.close()
    return counts


async def test_what_the_archive_dropped_before_goes_from_the_journal(tmp_path: Path) -> None:
    """An account's refused inputs, one of them as somebody edited it; those of others stay as they came."""
    settings = settings_of(tmp_path)
    raws = (b'{"from": "ann.secretive@Example.org"}', b'{"from": "bob@example.org"}', b'{"from": "nobody"}')
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        for raw in raws:
            refusal = Refusal(Code.INVALID, "no")
            await front.intake.quarantine(account="chat", source="test", id=f"{raw!r}", refusal=refusal, raw=raw)
        form = msgspec.json.encode(arrival("q3", MessageArrived(text="petrichor"), ANN))
        for command in (
            BeginReplay(quarantine="chat.3", raw=form),
            MarkReplayed(quarantine="chat.3", stream="s", seq=1),
        ):
            last = await front.intake.command(
                actor="operator:olga", id=f"{command}", command=command, customer="account:chat"
            )
        await reached(front.archive, last.position)
    counts = await dropped(settings)
    assert counts["quarantine_open"] + counts["quarantine_replayed"] == 3
    assert ("journal.sqlite", b"petrichor") in found(tmp_path)
    await erased(settings, ann)
    assert found(tmp_path) == []
    assert b"bob@example.org" in (tmp_path / JOURNAL_FILE).read_bytes()
    await check_against_rebuilt(settings)


async def test_an_interruption_is_made_good_also_of_what_the_archive_dropped_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the journal has no address any more by which it would be found."""
    settings = settings_of(tmp_path)
    raw = msgspec.json.encode(arrival("quokka-9", MessageArrived(text="Zanzibar"), ANN))
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        refusal = Refusal(Code.INVALID, "petrichor")
        await front.intake.quarantine(account="chat", source="test", id="quokka-9", refusal=refusal, raw=raw)
        await note(front, f"{ann}-1")
    assert (await dropped(settings))["quarantine_open"] == 1

    async def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SqliteArchive, "erase", cut)
        with pytest.raises(KeyboardInterrupt):
            await erased(settings, ann)
    await erased(settings, ann)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


async def test_what_the_archive_dropped_of_the_others_conversation_goes_from_the_journal(tmp_path: Path) -> None:
    """Said in it while they were one, and moved out by the unmerge."""
    settings = msgspec.structs.replace(settings_of(tmp_path), policy=PolicySettings(close_after_resolved_s=0))
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="my word", reference="<r1>"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=anns), customer=bobs)
        said = MessageArrived(text="quokka", subject="petrichor", in_reply_to=["<r1>"])
        assert (await front.intake.submit(arrival("a2", said, ANN))).stream == bob.stream
        unmerge = UnmergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
        for conversation in (bob.stream, ann.stream, f"{anns}-2"):
            last = await front.intake.command(
                actor="agent:bo",
                id=f"r-{conversation}",
                command=Resolve(),
                conversation=conversation,
                customer=customer_of(conversation),
            )
            await closed(front, conversation)
        await reached(front.archive, last.position)
    assert (await dropped(settings))["closed_conversations"] == 3
    assert ("journal.sqlite", b"quokka") in found(tmp_path)
    await erased(settings, anns)
    assert found(tmp_path) == []
    assert b"my word" in (tmp_path / JOURNAL_FILE).read_bytes()
    await check_against_rebuilt(settings)


@pytest.mark.parametrize("step", ["journal.commit", "archive.erase"])
async def test_an_interruption_is_made_good_by_doing_it_again(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps; meanwhile the server may have run."""
    settings, store = settings_of(tmp_path), AttachmentStore(tmp_path / "attachments")
    store.open()
    async with server(settings) as (_, front):
        ann, _ = await lived(front, store)

    async def cut(*_: object) -> None:
        raise KeyboardInterrupt

    owner: type = {"journal": SqliteJournal, "archive": SqliteArchive}[step.split(".")[0]]
    with monkeypatch.context() as patched:
        patched.setattr(owner, step.split(".")[1], cut)
        with pytest.raises(KeyboardInterrupt):
            await erased(settings, ann)
    async with server(settings) as (_, front):
        other = await front.intake.submit(arrival("n1", MessageArrived(text="hello"), "user:other"))
        assert other.status == "committed"
    await erased(settings, ann)
    assert found(tmp_path) == []


async def test_what_a_merged_person_said_goes_with_them_wherever_they_said_it(tmp_path: Path) -> None:
    """While two are one neither is erased; after that, also their words in the other's conversations are gone."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi", reference="<r1>"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        merge = MergeCustomers(other=anns)
        await front.intake.command(actor="agent:bo", id="m", command=merge, customer=bobs)
        files = [Attachment(name="serendipity")]
        said = MessageArrived(text="quokka", subject="petrichor", attachments=files, in_reply_to=["<r1>"])
        mixed = await front.intake.submit(arrival("a2", said, ANN))
        assert mixed.stream == bob.stream
    for customer in (anns, bobs):
        with pytest.raises(Refusal) as refused:
            await erased(settings, customer)
        assert refused.value.code == Code.NOT_ALLOWED_NOW
    async with server(settings) as (_, front):
        unmerge = UnmergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
        await reached(front.archive, last.position)
    await erased(settings, anns)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        journey = await front.archive.journey(bobs)
        assert journey is not None
        assert [each["identity"] for each in journey["identities"]] == [BOB]


@pytest.mark.parametrize("app", [False, True])
async def test_what_a_merged_person_said_in_their_own_conversation_goes_too(tmp_path: Path, app: bool) -> None:
    """The other's cell wrote it, in the other's units; and so an address that they first named there."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar", reference="<r1>"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        merge = MergeCustomers(other=anns)
        await front.intake.command(actor="agent:bo", id="m", command=merge, customer=bobs)
        named = (ANN, ANNS_APP) if app else (ANN,)
        said = MessageArrived(text="quokka", in_reply_to=["<r1>"])
        own = await front.intake.submit(arrival("quokka", said, *named))
        assert own.stream == ann.stream
        await front.intake.command(
            actor="agent:bo", id="n", command=AddNote(text="petrichor"), conversation=ann.stream, customer=bobs
        )
        unmerge = UnmergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
        if app:  # It stayed with who keeps its id.
            back = (UnlinkIdentity(identity=ANNS_APP), bobs), (LinkIdentity(identity=ANNS_APP), anns)
            for command, customer in back:
                last = await front.intake.command(actor="agent:bo", id=customer, command=command, customer=customer)
        await reached(front.archive, last.position)
    await erased(settings, anns)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


async def answered_in_anothers(front: Front) -> tuple[str, str]:
    """An agent writes to Ann in a conversation of Bob's, with whom she is one for a while. Returns her, and that."""
    bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi", reference="<r1>"), BOB))
    ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
    anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
    await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=anns), customer=bobs)
    await front.intake.submit(arrival("a2", MessageArrived(text="quokka", in_reply_to=["<r1>"]), ANN))
    await front.intake.command(actor="agent:bo", id="r", command=Reply(text="petrichor"), conversation=bob.stream)
    last = await front.intake.command(actor="agent:bo", id="u", command=UnmergeCustomers(other=anns), customer=bobs)
    await reached(front.archive, last.position)
    return anns, bob.stream


async def test_nobody_is_forgotten_while_a_message_to_them_is_on_its_way_from_anothers_conversation(
    tmp_path: Path,
) -> None:
    """It would leave without a word, to nowhere."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        anns, conversation = await answered_in_anothers(front)
    with pytest.raises(Refusal, match=f"on its way from {conversation}") as refused:
        await erased(settings, anns)
    assert refused.value.code == Code.NOT_ALLOWED_NOW
    assert conversation in (await survey(settings, anns)).refused
    async with server(settings) as (_, front):
        journey = await front.archive.journey(anns)
        assert journey is not None
        assert [each["identity"] for each in journey["identities"]] == [ANN]


async def test_a_message_whose_person_is_forgotten_is_not_sent_again(tmp_path: Path) -> None:
    """It is a dead letter of another's conversation, without words and without an address."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        anns, conversation = await answered_in_anothers(front)
        [dead] = await unsent(front, "attempting")
        outcome = partial(
            Outcome,
            customer=customer_of(conversation),
            conversation=conversation,
            delivery=dead,
            attempt=1,
            status="refused",
        )
        settled = await front.cells.call(customer_of(conversation), outcome)
        assert isinstance(settled, Answered)
        await reached(front.archive, settled.position)
        assert await unsent(front, "dead") == [dead]
    await erased(settings, anns)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        again = ReplayDelivery(delivery=dead)
        with pytest.raises(Refusal) as refused:
            await front.intake.command(actor="agent:bo", id="again", command=again, conversation=conversation)
        assert refused.value.code == Code.NOT_FOUND
        assert await unsent(front, "dead") == [dead]


async def unsent(front: Front, state: str) -> list[str]:
    """The deliveries in that state, as the archive has them."""
    return [row["delivery"] for row in await front.archive.outbox([state], 10)]


async def test_why_a_merged_person_came_back_goes_from_the_row_as_from_the_fact(tmp_path: Path) -> None:
    """What they opened in the other's name says what it follows, and why."""
    settings = msgspec.structs.replace(settings_of(tmp_path), policy=PolicySettings(close_after_resolved_s=0))
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=anns), customer=bobs)
        for n, stream in enumerate((ann.stream, bob.stream)):
            await front.intake.command(actor="agent:bo", id=f"r{n}", command=Resolve(), conversation=stream)
            await closed(front, stream)
        back = await front.intake.submit(arrival("a2", MessageArrived(text="quokka", subject="petrichor"), ANN))
        assert back.stream == f"{bobs}-2"
        unmerge = UnmergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
        await reached(front.archive, last.position)
    assert [bool(reason) for reason in reasons_of(settings, f"{bobs}-2")] == [True]
    await erased(settings, anns)
    assert reasons_of(settings, f"{bobs}-2") == [""]
    await check_against_rebuilt(settings)


@pytest.mark.parametrize(
    ("bobs_first", "anns", "bobs_next", "left"),
    [
        ("bill", "bill", "", "bill"),
        ("", "bill", "bill", "bill"),
        ("", "quokka", "bill", "bill"),
        ("", "quokka", "", ""),
    ],
)
async def test_the_others_conversation_keeps_the_subject_that_the_other_gave_it(
    tmp_path: Path, bobs_first: str, anns: str, bobs_next: str, left: str
) -> None:
    """Ann, who was merged into Bob, wrote in his conversation; also where both said the same."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(
            arrival("b1", MessageArrived(text="hi", subject=bobs_first, reference="<r1>"), BOB)
        )
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        ann_id, bob_id = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=ann_id), customer=bob_id)
        said = MessageArrived(text="quokka", subject=anns, in_reply_to=["<r1>"])
        assert (await front.intake.submit(arrival("a2", said, ANN))).stream == bob.stream
        more = MessageArrived(text="and", subject=bobs_next, in_reply_to=["<r1>"])
        assert (await front.intake.submit(arrival("b2", more, BOB))).stream == bob.stream
        unmerge = UnmergeCustomers(other=ann_id)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bob_id)
        await reached(front.archive, last.position)
    await erased(settings, ann_id)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        conversation = await front.archive.conversation(bob.stream)
        assert conversation is not None
        assert conversation["subject"] == left
    await check_against_rebuilt(settings)


async def test_the_others_conversation_keeps_the_subject_that_it_was_put_right_to(tmp_path: Path) -> None:
    """Carl, who had been one with Bob before Ann was, had given it its first: as he left, it got Bob's."""
    settings, carls = settings_of(tmp_path), "mailto:carl@example.org"
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi", reference="<r1>"), BOB))
        for other, subject, next_one in ((carls, "carl's", "bill"), (ANN, "quokka", "")):
            first = await front.intake.submit(arrival(f"{other} 1", MessageArrived(text="I live in Zanzibar"), other))
            them, bobs = customer_of(first.stream), customer_of(bob.stream)
            merge, unmerge = MergeCustomers(other=them), UnmergeCustomers(other=them)
            await front.intake.command(actor="agent:bo", id=f"{other} m", command=merge, customer=bobs)
            for id, said, whose in (("2", subject, other), ("b", next_one, BOB)):
                message = MessageArrived(text="and", subject=said, in_reply_to=["<r1>"])
                answered = await front.intake.submit(arrival(f"{other} {id}", message, whose))
                assert answered.stream == bob.stream
            last = await front.intake.command(actor="agent:bo", id=f"{other} u", command=unmerge, customer=bobs)
        await reached(front.archive, last.position)
    await erased(settings, them)
    async with server(settings) as (_, front):
        conversation = await front.archive.conversation(bob.stream)
        assert conversation is not None
        assert conversation["subject"] == "bill"
    await check_against_rebuilt(settings)


def reasons_of(settings: Settings, conversation: str) -> list[str]:
    """Why it follows earlier ones, as the archive has it."""
    with closing(sqlite3.connect(Path(settings.data) / ARCHIVE_FILE)) as db:
        found = db.execute("SELECT reason FROM relation WHERE conversation = ?", (conversation,)).fetchall()
    return [reason for (reason,) in found]


async def test_who_had_others_merged_into_them_is_forgotten_and_the_others_are_not(tmp_path: Path) -> None:
    """Whose the other's address is says the release, which stands with who is forgotten: a rebuilt archive knows it."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        merge = MergeCustomers(other=bobs, reason="petrichor")
        await front.intake.command(actor="agent:bo", id="m", command=merge, customer=anns)
        unmerge = UnmergeCustomers(other=bobs, reason="serendipity")
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=anns)
        await reached(front.archive, last.position)
    await erased(settings, anns)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)
    async with server(settings) as (_, front):
        journey = await front.archive.journey(bobs)
        assert journey is not None
        assert [each["identity"] for each in journey["identities"]] == [BOB]


async def test_what_was_unlinked_of_another_stays_unlinked_in_a_rebuilt_archive(tmp_path: Path) -> None:
    """Bob's address went while he was merged into Ann: her stream alone says so. What went of her own is not told."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN, ANNS_APP))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        merge = MergeCustomers(other=bobs, reason="petrichor")
        await front.intake.command(actor="agent:bo", id="m", command=merge, customer=anns)
        for identity in (BOB, ANNS_APP):
            command = UnlinkIdentity(identity=identity, reason="quokka")
            await front.intake.command(actor="agent:bo", id=f"l{identity}", command=command, customer=anns)
        unmerge = UnmergeCustomers(other=bobs, reason="serendipity")
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=anns)
        await reached(front.archive, last.position)
    for _ in range(2):  # It may be done again.
        await erased(settings, anns)
        assert found(tmp_path) == []
        await check_against_rebuilt(settings)
    async with server(settings) as (_, front):
        journey = await front.archive.journey(bobs)
        assert journey is not None
        assert journey["identities"] == []


@pytest.mark.parametrize(
    ("again", "whose"),
    [("of one", ""), ("of two", ""), ("both times", ""), ("the other's", "bob"), ("both times, the other's", "bob")],
)
async def test_what_was_unlinked_while_they_were_one_and_linked_again_is_whose_it_became(
    tmp_path: Path, again: str, whose: str
) -> None:
    """Bob's address went while he was merged into Ann, and was linked again: to her, while they were one or afterwards,
    or to him. Of hers nothing is left, and of his nothing goes, in the archive as it is and in one made anew."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        on, off = LinkIdentity(identity=BOB), UnlinkIdentity(identity=BOB, reason="quokka")
        asked: list[tuple[str, AnyCommand]] = [(anns, MergeCustomers(other=bobs)), (anns, off)]
        if again in ("of one", "both times"):
            asked.append((anns, on))
        if again.startswith("both times, "):
            asked += [(anns, on), (anns, off)]
        if again == "both times":
            asked.append((anns, off))
        asked.append((anns, UnmergeCustomers(other=bobs)))
        if again != "of one":
            asked.append((bobs if whose else anns, on))
        for n, (customer, command) in enumerate(asked):
            last = await front.intake.command(actor="agent:bo", id=f"c{n}", command=command, customer=customer)
        await reached(front.archive, last.position)
    for _ in range(2):
        await erased(settings, anns)
        assert found(tmp_path) == []
        await check_against_rebuilt(settings)
    async with server(settings) as (_, front):
        for customer, has in ((anns, []), (bobs, [BOB] if whose else [])):
            journey = await front.archive.journey(customer)
            assert journey is not None
            assert [each["identity"] for each in journey["identities"]] == has
        assert await front.journal.customers_of([BOB]) == ({BOB: bobs} if whose else {})


async def test_an_address_that_went_while_they_were_one_goes_from_the_others_stream(tmp_path: Path) -> None:
    """It had come to Bob with Ann, and was unlinked there: that is of her."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN, ANNS_APP))
        anns, bobs = customer_of(ann.stream), customer_of(bob.stream)
        asked: list[AnyCommand] = [MergeCustomers(other=anns), UnlinkIdentity(identity=ANNS_APP)]
        for n, command in enumerate([*asked, UnmergeCustomers(other=anns)]):
            last = await front.intake.command(actor="agent:bo", id=f"c{n}", command=command, customer=bobs)
        await reached(front.archive, last.position)
    await erased(settings, anns)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


async def test_an_address_that_was_unlinked_of_another_stays_with_who_has_it_since(tmp_path: Path) -> None:
    """Ann's stream says that Bob's address went; Eve's, that it is hers by now: so does the archive."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=bobs), customer=anns)
        await front.intake.command(actor="agent:bo", id="l", command=UnlinkIdentity(identity=BOB), customer=anns)
        await front.intake.command(actor="agent:bo", id="u", command=UnmergeCustomers(other=bobs), customer=anns)
        eve = await front.intake.submit(arrival("e1", MessageArrived(text="it is mine now"), BOB))
        await reached(front.archive, eve.position)
    await erased(settings, anns)
    await check_against_rebuilt(settings)
    async with server(settings) as (_, front):
        journey = await front.archive.journey(eve.stream.removesuffix("-1"))
        assert journey is not None
        assert [each["identity"] for each in journey["identities"]] == [BOB]


@pytest.mark.parametrize("had", ["a member", "the customer, before", "the customer, meanwhile"])
async def test_what_was_anothers_before_it_was_theirs_does_not_come_back_to_that_one(tmp_path: Path, had: str) -> None:
    """An address was Bob's, or Carl's who had been merged into him, and was unlinked there; Ann, whose it became, was
    merged into Bob for a while. Bob's facts of it are not hers."""
    settings, other = settings_of(tmp_path), "mailto:carl@example.org"
    address = "user:quokka"
    async with server(settings) as (_, front):
        carl = await front.intake.submit(arrival("c1", MessageArrived(text="hi"), other))
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        carls, bobs = customer_of(carl.stream), customer_of(bob.stream)
        number = 0

        async def ask(customer: str, command: AnyCommand) -> Answered:
            nonlocal number
            number += 1
            return await front.intake.command(actor="agent:bo", id=f"c{number}", command=command, customer=customer)

        member = had == "a member"
        await ask(carls if member else bobs, LinkIdentity(identity=address))
        if member:
            await ask(bobs, MergeCustomers(other=carls))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns = customer_of(ann.stream)
        if had == "the customer, meanwhile":
            await ask(bobs, MergeCustomers(other=anns))
        await ask(bobs, UnlinkIdentity(identity=address, reason="no"))
        if had == "the customer, meanwhile":
            await ask(bobs, UnmergeCustomers(other=anns))
        await ask(anns, LinkIdentity(identity=address))
        await ask(bobs, MergeCustomers(other=anns))
        last = await ask(bobs, UnmergeCustomers(other=anns))
        assert await front.journal.customers_of([address]) == {address: anns}
        await reached(front.archive, last.position)
    await erased(settings, anns)
    async with server(settings) as (_, front):
        for customer in (bobs, carls):
            journey = await front.archive.journey(customer)
            assert journey is not None
            assert address not in [each["identity"] for each in journey["identities"]]
    await check_against_rebuilt(settings)


@pytest.mark.parametrize("nested", [False, True])
async def test_nobody_keeps_an_address_of_who_had_been_one_with_the_person(tmp_path: Path, nested: bool) -> None:
    """Bob was merged into Ann, and she into Carl, for a while; his address became hers later. Carl's actor, which folds
    hers, has neither's."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        carl, bob, ann = [
            customer_of((await front.intake.submit(arrival(f"{n}", MessageArrived(text="hi"), identity))).stream)
            for n, identity in enumerate(("mailto:carl@example.org", BOB, ANN))
        ]
        into, out = MergeCustomers(other=bob), UnmergeCustomers(other=bob)
        through, back = MergeCustomers(other=ann), UnmergeCustomers(other=ann)
        asked: list[tuple[str, AnyCommand]] = [(ann, into), (ann, out), (carl, through), (carl, back)]
        if nested:
            asked = [(ann, into), (carl, through), (carl, back), (ann, out)]
        asked += [(bob, UnlinkIdentity(identity=BOB)), (ann, LinkIdentity(identity=BOB))]
        for n, (customer, command) in enumerate(asked):
            last = await front.intake.command(actor="agent:bo", id=f"c{n}", command=command, customer=customer)
        await reached(front.archive, last.position)
    await erased(settings, ann)
    async with server(settings) as (_, front):
        for customer, has in ((carl, ["mailto:carl@example.org"]), (bob, [])):
            reply = await front.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            assert reply.view.identities == has
    await check_against_rebuilt(settings)


async def test_nobody_keeps_an_address_that_came_back_to_the_person_and_went_again(tmp_path: Path) -> None:
    """Ann was one with Bob twice. In between an address of hers went, and is Eve's by now: that it went is not said any
    more, nor that it had come back."""
    settings, address = settings_of(tmp_path), "user:shared"
    async with server(settings) as (_, front):
        bob, ann = [
            customer_of((await front.intake.submit(arrival(identity, MessageArrived(text="hi"), identity))).stream)
            for identity in (BOB, ANN)
        ]
        into, out = MergeCustomers(other=ann), UnmergeCustomers(other=ann)
        asked: list[tuple[str, AnyCommand]] = [(ann, LinkIdentity(identity=address)), (bob, into), (bob, out)]
        asked += [(ann, UnlinkIdentity(identity=address)), (bob, into), (bob, out)]
        for n, (customer, command) in enumerate(asked):
            await front.intake.command(actor="agent:bo", id=f"c{n}", command=command, customer=customer)
        eve = await front.intake.submit(arrival("e1", MessageArrived(text="it is mine now"), address))
        await reached(front.archive, eve.position)
    await erased(settings, ann)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        for customer, has in ((bob, [BOB]), (customer_of(eve.stream), [address])):
            reply = await front.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            assert reply.view.identities == has
    await check_against_rebuilt(settings)


async def test_nobody_keeps_an_address_that_had_been_the_persons_and_went_as_anothers(tmp_path: Path) -> None:
    """It was Ann's once, and then Bob's, with whom she was one as it went; now it is Eve's. Carl, with whom Ann was one
    later, has it in nobody's name."""
    settings, address, carls = settings_of(tmp_path), "user:shared", "mailto:carl@example.org"
    async with server(settings) as (_, front):
        carl, bob, ann = [
            customer_of((await front.intake.submit(arrival(identity, MessageArrived(text="hi"), identity))).stream)
            for identity in (carls, BOB, ANN)
        ]
        on, off = LinkIdentity(identity=address), UnlinkIdentity(identity=address)
        asked: list[tuple[str, AnyCommand]] = [(ann, on), (ann, off), (bob, on)]
        asked += [(ann, MergeCustomers(other=bob)), (ann, off), (ann, UnmergeCustomers(other=bob))]
        for n, (customer, command) in enumerate(asked):
            await front.intake.command(actor="agent:bo", id=f"c{n}", command=command, customer=customer)
        eve = await front.intake.submit(arrival("e1", MessageArrived(text="it is mine now"), address))
        later: list[AnyCommand] = [MergeCustomers(other=ann), UnmergeCustomers(other=ann)]
        for n, command in enumerate(later):
            last = await front.intake.command(actor="agent:bo", id=f"d{n}", command=command, customer=carl)
        await reached(front.archive, last.position)
    await erased(settings, ann)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        for customer, has in ((carl, [carls]), (bob, [BOB]), (customer_of(eve.stream), [address])):
            reply = await front.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            assert reply.view.identities == has
    await check_against_rebuilt(settings)


async def test_a_power_failure_in_the_midst_leaves_no_address_with_whom_they_were_one_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive lay before their release, which the journal does not tell any more as it did."""
    settings, archive = settings_of(tmp_path), tmp_path / ARCHIVE_FILE
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        merge = MergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="m", command=merge, customer=bobs)
        await reached(front.archive, last.position)
    wal = archive.with_name(f"{ARCHIVE_FILE}-wal")
    synced = (archive.read_bytes(), b"")
    async with server(settings) as (_, front):
        unmerge = UnmergeCustomers(other=anns)
        await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
    archive.write_bytes(synced[0])
    sync, erase_units = SqliteArchive.sync, SqliteJournal.erase

    async def syncs(self: SqliteArchive) -> int:
        nonlocal synced
        position = await sync(self)
        synced = (archive.read_bytes(), wal.read_bytes())
        return position

    async def dies(self: SqliteJournal, *of: Any, **more: Any) -> None:
        await erase_units(self, *of)
        raise ConnectionError("the power fails here")

    with monkeypatch.context() as cut:
        cut.setattr(SqliteArchive, "sync", syncs)
        cut.setattr(SqliteJournal, "erase", dies)
        with pytest.raises(ConnectionError):
            await erased(settings, anns)
    for file, held in zip((archive, wal), synced, strict=True):
        file.write_bytes(held)
    await erased(settings, anns)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


@pytest.mark.parametrize("retained", [False, True])
async def test_what_a_merged_person_said_goes_also_where_it_was_over_for_too_long_to_be_moved(
    tmp_path: Path, retained: bool
) -> None:
    """It stays in the other's conversation after the unmerge; the release names it. So it is with a contact of which
    the words are in yet another one, out of which an agent had split it. The other's own words stay."""
    settings = msgspec.structs.replace(settings_of(tmp_path), policy=PolicySettings(close_after_resolved_s=0))
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi", reference="<r1>"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")

        async def ask(id: str, command: AnyCommand, conversation: str = "") -> Answered:
            return await front.intake.command(
                actor="agent:bo", id=id, command=command, conversation=conversation, customer=bobs
            )

        await ask("m", MergeCustomers(other=anns))
        said = MessageArrived(text="serendipity", in_reply_to=["<r1>"])
        assert (await front.intake.submit(arrival("a2", said, ANN))).stream == bob.stream
        await ask("s", Split(interactions=[2]), bob.stream)
        await ask("r", Resolve(), f"{bobs}-2")
        await closed(front, f"{bobs}-2")
        hers, his = (ANN, "quokka"), (BOB, "my word")
        for n, (identity, text) in enumerate([*[hers] * (PACKED_MAX + 1), *[his] * CLOSED_MAX]):
            await imported(front, f"past-{n}", identity, text, days_ago=0)
        last = await ask("u", UnmergeCustomers(other=anns))
        await reached(front.archive, last.position)
        events = await front.archive.events_of_customer(bobs, 0)
        released = next(event for event in events if b"CustomerReleased" in event.body)
        assert f"{bobs}-2" in msgspec.json.decode(released.body)["unmoved"]
    if retained:
        assert (await dropped(settings))["closed_conversations"] > PACKED_MAX
    assert {name for name, word in found(tmp_path) if word == b"quokka"} >= {"journal.sqlite"}
    await erased(settings, anns)
    assert found(tmp_path) == []
    assert b"my word" in (tmp_path / JOURNAL_FILE).read_bytes()
    await check_against_rebuilt(settings)


async def test_where_the_others_words_are_stays_known_when_they_had_been_in_a_conversation_of_the_person(
    tmp_path: Path,
) -> None:
    """A contact of Bob's came to Ann's conversation and left it at the unmerge: that it came is Ann's fact, and where
    it is by now is Bob's."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="my word"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs = ann.stream.removesuffix("-1"), bob.stream.removesuffix("-1")
        await front.intake.command(actor="agent:bo", id="m", command=MergeCustomers(other=anns), customer=bobs)
        join = Join(other=bob.stream)
        await front.intake.command(actor="agent:bo", id="j", command=join, conversation=ann.stream, customer=bobs)
        unmerge = UnmergeCustomers(other=anns)
        last = await front.intake.command(actor="agent:bo", id="u", command=unmerge, customer=bobs)
        await reached(front.archive, last.position)
    await erased(settings, anns)
    async with server(settings) as (_, front):
        said = await front.archive.messages_of(f"{bobs}-2", 1)
        assert said is not None
        assert [message["text"] for message in said] == ["my word"]
    await check_against_rebuilt(settings)


async def imported(front: Front, id: str, identity: str, text: str, *, days_ago: int) -> None:
    """A contact of the past comes in, with what was answered."""
    at_ms = NOW_MS - days_ago * 86_400_000
    answer = PastMessage(at_ms=at_ms, text=f"{text}?", direction=Direction.OUTBOUND)
    past = PastConversation(messages=[PastMessage(at_ms=at_ms, text=text), answer], subject=text)
    event = msgspec.structs.replace(arrival(id, past, identity), time_ms=at_ms)
    done: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()
    front.intake.take(event, done.set_result, past=True)
    assert isinstance(await done, Answered)


@pytest.mark.parametrize("mixed", [False, True])
async def test_a_person_is_forgotten_also_by_whom_they_were_one_with_through_another(
    tmp_path: Path, mixed: bool
) -> None:
    """Ann was merged into Bob, and he into Carl. What is left of both is theirs, and as a rebuild makes it."""
    settings, carls_address = settings_of(tmp_path), "mailto:carl@example.org"
    async with server(settings) as (_, front):
        carl = await front.intake.submit(arrival("c1", MessageArrived(text="hi", reference="<r1>"), carls_address))
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        anns, bobs, carls = (said.stream.removesuffix("-1") for said in (ann, bob, carl))

        async def ask(id: str, customer: str, command: AnyCommand) -> Answered:
            return await front.intake.command(actor="agent:bo", id=id, command=command, customer=customer)

        await ask("m1", bobs, MergeCustomers(other=anns, reason="petrichor"))
        await ask("m2", carls, MergeCustomers(other=bobs))
        if mixed:
            said = MessageArrived(text="quokka", subject="petrichor", in_reply_to=["<r1>"])
            assert (await front.intake.submit(arrival("a2", said, ANN))).stream == carl.stream
            await ask("l1", carls, LinkIdentity(identity=ANN, evidence="verified_by_otp"))
        await ask("u1", carls, UnmergeCustomers(other=bobs))
        last = await ask("u2", bobs, UnmergeCustomers(other=anns))
        await reached(front.archive, last.position)
    await erased(settings, anns)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        for customer, identity in ((bobs, BOB), (carls, carls_address)):
            reply = await front.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            assert reply.view.identities == [identity]
            journey = await front.archive.journey(customer)
            assert journey is not None
            assert [each["identity"] for each in journey["identities"]] == [identity]
    await check_against_rebuilt(settings)
