"""Erasing one input that an account refused, which no address leads to: its words, and nobody else's."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from actors.cells.loading import reached
from adapters.attachments import AttachmentStore
from adapters.channels.email.taking import Elsewhere
from adapters.stores.archive.quarantine import InputsWanted
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.folder import JOURNAL_FILE
from adapters.stores.journal.sqlite import SqliteJournal
from orchestrator.cli.customer import _survey
from orchestrator.cli.quarantine import _erase as erase_by_command
from orchestrator.cli.serve import _erase_waiting, _with_inputs
from orchestrator.data_layout import ERASURES
from orchestrator.erasure.erasing import Act, erase, survey
from orchestrator.erasure.inputs import ErasedInput, InputAct, erase_input
from orchestrator.erasure.pending import Waiting, ask, waiting
from orchestrator.parts.front import Front
from orchestrator.settings import Placement, Settings
from protocol.commands import BeginReplay, MarkReplayed, Reply
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, InputErased, InputQuarantined
from protocol.ids import customer_of
from protocol.inbound import Attachment, MessageArrived
from tests.orchestrator.erasure.test_erasing import (
    ANN,
    BOB,
    NOW_MS,
    arrival,
    check_against_rebuilt,
    found,
    server,
    settings_of,
)

ACT = InputAct(quarantine="chat.1", actor="operator:root", reason="their request", at_ms=NOW_MS + 1000)


async def refuse(front: Front, raws: Sequence[bytes]) -> None:
    """The account keeps them: `chat.1` and so on."""
    for number, raw in enumerate(raws, 1):
        refusal = Refusal(Code.NO_IDENTITY, "nobody")
        await front.intake.quarantine(account="chat", source="test", id=f"n{number}", refusal=refusal, raw=raw)


async def erased(settings: Settings, quarantine: str = "chat.1") -> ErasedInput:
    """Erases, without a look at the progress."""
    return await erase_input(settings, msgspec.structs.replace(ACT, quarantine=quarantine), lambda at, head: None)


def files_in(folder: Path) -> AttachmentStore:
    """The attachments, opened."""
    store = AttachmentStore(folder / "attachments")
    store.open()
    return store


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_nothing_of_it_is_left_and_the_others_are(tmp_path: Path, placement: Placement) -> None:
    """As it came, in a file, and as it was edited, of an account whose other inputs stay; the act is in its stream."""
    settings, store = settings_of(tmp_path, placement), files_in(tmp_path)
    mail = store.keep(b"Return-Path: <>\r\n\r\nI am the man from Zanzibar")
    raws = [msgspec.json.encode(Elsewhere(message_sha256=mail, size_bytes=9)), b"hello from somebody else"]
    file = Attachment(name="q.pdf", sha256=store.keep(b"quokka"))
    edit = arrival("n1", MessageArrived(text="serendipity", attachments=[file]))
    async with server(settings) as (_, front):
        await refuse(front, raws)
        begun = BeginReplay(quarantine="chat.1", raw=msgspec.json.encode(edit))
        await front.intake.command(actor="operator:olga", id="c1", command=begun, customer="account:chat")
    assert found(tmp_path)
    done = await erased(settings)
    assert (done.units, done.files, done.came_in) == (2, 2, "")
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        row, other = await front.archive.quarantined("chat.1"), await front.archive.quarantined("chat.2")
        assert row is not None
        assert (row["raw"], row["edited"], row["id"], row["replaying_at_ms"]) == (b"", None, "", None)
        assert other is not None
        assert other["raw"] == raws[1]
        act = (await front.archive.events_of_stream("account:chat", 0, 9))[-1]
        assert msgspec.json.decode(act.body, type=AnyEvent) == InputErased(
            at_ms=ACT.at_ms, actor=ACT.actor, reason=ACT.reason, quarantine="chat.1"
        )
        assert act.position == done.position
    await check_against_rebuilt(settings)
    again = await erased(settings)
    assert (again.position, again.files) == (0, 0)
    await check_against_rebuilt(settings)


async def test_an_erasure_tells_which_inputs_name_them(tmp_path: Path) -> None:
    """Before, when nothing is touched, and after; what was forgotten before is nobody's."""
    settings = settings_of(tmp_path)
    files_in(tmp_path)
    async with server(settings) as (_, front):
        ann = (await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))).stream.removesuffix("-1")
        await refuse(front, [b"I am ANN.Secretive@example.org", b"bob@example.org", b"(ann.secretive@example.org)"])
    await erased(settings, "chat.1")
    before = (tmp_path / JOURNAL_FILE).read_bytes()
    seen = await asyncio.to_thread(_survey, settings, ANN)
    assert (seen["customer"], seen["identities"], seen["conversations"]) == (ann, [ANN], 1)
    assert (seen["inputs"], seen["refused"]) == (["chat.3"], "")
    assert (tmp_path / JOURNAL_FILE).read_bytes() == before
    act = Act(customer=ann, actor="operator:root", reason="their request", at_ms=NOW_MS + 2000)
    assert (await erase(settings, act, lambda at, head: None)).inputs == ["chat.3"]
    assert found(tmp_path) == []


async def test_a_survey_says_why_an_erasure_would_be_refused(tmp_path: Path) -> None:
    """A message is on its way; who there is not is not found."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))
        say = Reply(text="hello")
        await front.intake.command(
            actor="agent:bo", id="c1", command=say, conversation=ann.stream, customer=customer_of(ann.stream)
        )
    assert "a message to this customer is on its way" in (await survey(settings, customer_of(ann.stream))).refused
    with pytest.raises(Refusal) as refused:
        await survey(settings, "cunobody")
    assert refused.value.code == Code.NOT_FOUND


async def test_both_ways_to_ask_for_it_lead_there(tmp_path: Path) -> None:
    """The command on a stopped server, and `throughline serve` for what a running one was asked."""
    settings = settings_of(tmp_path)
    files_in(tmp_path)
    async with server(settings) as (_, front):
        await refuse(front, [b"Zanzibar", b"quokka", b"hello"])
        asked = Waiting(customer="", quarantine="chat.2", actor="operator:olga", reason="asked", asked_at_ms=1)
        ask(tmp_path / ERASURES, asked)
    done = await asyncio.to_thread(erase_by_command, settings, "chat.1", "their request", yes=True)
    assert (done["quarantine"], done["units"]) == ("chat.1", 1)
    assert {word for _, word in found(tmp_path)} == {b"quokka"}
    await asyncio.to_thread(_erase_waiting, settings)
    assert found(tmp_path) == []
    assert waiting(tmp_path / ERASURES) == []
    await check_against_rebuilt(settings)


@pytest.mark.parametrize("ends", [(SqliteJournal, "commit"), (SqliteArchive, "erase"), (AttachmentStore, "remove")])
async def test_an_interruption_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[type, str]
) -> None:
    """Whatever was done by then. The act is written down once."""
    settings, store = settings_of(tmp_path), files_in(tmp_path)
    mail = store.keep(b"Return-Path: <>\r\n\r\nI am the man from Zanzibar")
    async with server(settings) as (_, front):
        await refuse(front, [msgspec.json.encode(Elsewhere(message_sha256=mail, size_bytes=9)), b"hello"])

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*ends, cut)
        with pytest.raises(KeyboardInterrupt):
            await erased(settings)
    await erased(settings)
    assert found(tmp_path) == []
    async with server(settings) as (_, front):
        facts = await front.archive.facts_of_quarantined("account:chat", "chat.1")
        assert [type(msgspec.json.decode(fact.body, type=AnyEvent)) for fact in facts] == [
            InputQuarantined,
            InputErased,
        ]
    await check_against_rebuilt(settings)


def test_of_many_inputs_that_went_with_a_customer_the_first_are_named() -> None:
    """And how many more there were."""
    assert _with_inputs([f"chat.{number}" for number in range(1, 23)]).endswith("chat.19, chat.20 and 2 more")
    assert _with_inputs([f"chat.{number}" for number in range(1, 21)]).endswith("chat.19, chat.20")


async def test_what_its_source_sends_again_does_not_come_back(tmp_path: Path) -> None:
    """The same is a repeat of what was erased; the account takes everything else."""
    settings = settings_of(tmp_path)
    files_in(tmp_path)
    async with server(settings) as (_, front):
        await refuse(front, [b"Zanzibar"])
    await erased(settings)
    async with server(settings) as (_, front):
        await refuse(front, [b"Zanzibar"])
        refusal = Refusal(Code.NO_IDENTITY, "nobody")
        kept = await front.intake.quarantine(account="chat", source="test", id="x", refusal=refusal, raw=b"hello")
        assert (kept.stream, kept.seq) == ("account:chat", 3)
    assert found(tmp_path) == []


async def test_what_came_in_of_it_is_its_customers(tmp_path: Path) -> None:
    """It is told where; a file that a conversation has by then stays."""
    settings, store = settings_of(tmp_path), files_in(tmp_path)
    file = Attachment(name="q.pdf", sha256=store.keep(b"the bill"))
    event = arrival("a1", MessageArrived(text="quokka", attachments=[file]), BOB)
    async with server(settings) as (_, front):
        await refuse(front, [msgspec.json.encode(event)])
        came = await front.intake.submit(event)
        marked = MarkReplayed(quarantine="chat.1", stream=came.stream, seq=came.seq)
        await front.intake.command(actor="operator:olga", id="c1", command=marked, customer="account:chat")
    done = await erased(settings)
    assert (done.came_in, done.files) == (came.stream, 0)
    assert store.read(hashlib.sha256(b"the bill").hexdigest())
    async with server(settings) as (_, front):
        row = await front.archive.quarantined("chat.1")
        assert row is not None
        assert (row["raw"], row["replayed_stream"]) == (b"", came.stream)


async def test_one_that_a_customer_keeps_goes_with_them(tmp_path: Path) -> None:
    """It says whose it is; one that nobody has is not found."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="hi"), ANN))
        await front.intake.submit(arrival("a1", MessageArrived(text="ho"), ANN))
        await reached(front.archive, await front.journal.position())
        customer = ann.stream.removesuffix("-1")
        [row] = await front.archive.quarantine(InputsWanted())
    with pytest.raises(Refusal, match=f"kept for {customer}: erase that customer") as refused:
        await erased(settings, row["quarantine"])
    assert refused.value.code == Code.NOT_ALLOWED_NOW
    for unknown in ("chat.7", "chat", "", f"{customer}-1"):
        with pytest.raises(Refusal) as refused:
            await erased(settings, unknown)
        assert refused.value.code == Code.NOT_FOUND
