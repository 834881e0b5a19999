"""Erasing, looked at from outside: a person's words in each place that there is, and then in none of the files.

Each place has a word of its own, so that a word that is found says where it came from. They are looked for in the
bytes of all files, whatever these are: in UTF-8, in UTF-16 and in Base64 at each of its three places.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from actors.cells.loading import reached
from actors.rules.identity import IdentityRules, MatchRule
from actors.rules.policy import Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from adapters.attachments import AttachmentStore
from adapters.channels.email.taking import kept
from orchestrator.erasure.erasing import Act, erase
from orchestrator.gateway.incoming.quarantine import keep_webhook
from orchestrator.inprocess import in_process
from orchestrator.parts import cell, front
from orchestrator.parts.front import Front
from orchestrator.settings import Account, GatewayAccount, Http, Settings
from protocol.commands import (
    AddNote,
    AnyCommand,
    CloseIdentityReview,
    LinkIdentity,
    OfferHandoff,
    Reply,
    Resolve,
    SetContext,
    TagInteraction,
    UnlinkIdentity,
)
from protocol.errors import Code, Refusal
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    Attachment,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)
from protocol.links import Answered
from tests.orchestrator.erasure.test_erasing import check_against_rebuilt

NOW_MS = 1_800_000_000_000
PLACES = (
    *("subject", "text", "reference", "answered", "id", "source", "filename", "file", "url", "transcript"),
    *("session", "activity", "given", "context", "note", "reply", "replysubject", "reason", "handoff"),
    *("claim", "evidence", "why", "mailbox", "app", "crm", "gone", "weak", "digest", "refused", "mailed"),
    *("form", "large", "edge", "linkreason"),
)


def word(place: str) -> str:
    """Twelve letters that stand for a place; no two begin alike, so that an index cannot shorten one by another."""
    return "".join(chr(ord("a") + byte % 26) for byte in hashlib.sha256(place.encode()).digest()[:12])


MAIL, APP, CRM = f"mailto:{word('mailbox')}@example.org", f"user:{word('app')}", f"crm:{word('crm')}"
GONE, WEAK, PHONE = f"user:{word('gone')}", f"user:{word('weak')}", "tel:+4930917364528"
BOB = "mailto:bob@example.org"
POLICY = Policy(
    version=1,
    identity=IdentityRules(match=[MatchRule(accounts=["web"], link_at=99)]),
    taxonomy=Taxonomy(
        topics={"bill": Label(taggers=(Tagger(words=(f"{word('evidence')[:4]}*",)),))},
        keys={"claim": (f"@@@@-{9 * '#'}",)},
    ),
)
CLAIM = "ABCD-918273645"


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in force."""
    for part in (cell, front):
        monkeypatch.setattr(part, "policy_of", lambda settings, noted=(): POLICY)


@asynccontextmanager
async def served(settings: Settings, clock: list[int]) -> AsyncIterator[Front]:
    """A server's stores, a cell, and a front."""
    only = ("journal", "archive", "cell-0", "gateway")
    async with in_process(settings, Path(settings.data), now_ms=lambda: clock[0], only=only) as running:
        here = Front(running.surroundings("front"))
        await here.start()
        yield here
        await reached(here.archive, await here.journal.position())
        await here.stop()


def arrival(id: str, data: AnyData, *identities: str, account: str = "chat", **more: Any) -> InboundEvent:
    """An event."""
    more = {"source": "test", **more}
    return InboundEvent(
        id=id, account=account, channel=account, time_ms=NOW_MS, identities=[*identities], data=data, **more
    )


async def lived(here: Front, files: AttachmentStore, clock: list[int]) -> str:
    """Ann's life with us; returns her id."""
    count = 0

    async def do(command: AnyCommand, stream: str) -> Answered:
        nonlocal count
        count += 1
        customer, hyphen, _ = stream.partition("-")
        conversation = stream if hyphen else ""
        return await here.intake.command(
            actor="agent:bo", id=str(count), command=command, conversation=conversation, customer=customer
        )

    file = Attachment(
        name=word("filename"), sha256=files.keep(word("file").encode()), url=f"https://{word('url')}.example"
    )
    said = MessageArrived(
        text=f"{word('text')} {word('evidence')} {CLAIM}",
        subject=word("subject"),
        reference=word("reference"),
        in_reply_to=[word("answered")],
        attachments=[file],
        context={"hint": word("given")},
    )
    # Before it is anybody's, and from whom nobody believes it.
    await here.intake.submit(arrival("b0", MessageArrived(text="hi"), BOB, WEAK, account="web"))
    first = await here.intake.submit(arrival(word("id"), said, MAIL, APP, CRM, source=word("source")))
    stream, ann = first.stream, first.stream.partition("-")[0]
    for identity in (PHONE, GONE, WEAK):
        await do(LinkIdentity(identity=identity), ann)
    seen = ActivityArrived(name="bill.viewed", properties={"x": word("activity")})
    await here.intake.submit(arrival("a1", seen, MAIL))
    for data in (
        InteractionBegan(session=word("session")),
        InteractionStopped(session=word("session"), reason=word("why")),
        MessageArrived(text=word("transcript"), session=word("session")),
    ):
        await here.intake.submit(arrival(f"p{type(data).__name__}", data, PHONE, account="phone"))
    await do(UnlinkIdentity(identity=GONE, reason=word("linkreason")), ann)
    await do(AddNote(text=word("note")), stream)
    await do(SetContext(key="hint", value=word("context")), stream)
    await do(TagInteraction(interaction=1, topic="bill", evidence=word("claim")), stream)
    sent = await do(Reply(text=word("reply"), subject=word("replysubject"), to=MAIL), stream)
    # Nobody takes it: it is a dead letter, until the channel says that it had it.
    while not (dead := await here.archive.outbox(["dead"], 10)):
        clock[0] += 3_600_000
        await asyncio.sleep(0.02)
    assert [row["delivery"] for row in dead] == [f"{stream}.{sent.seq}"]
    report = DeliveryReport(delivery=f"{stream}.{sent.seq}", status="sent")
    await here.intake.submit(arrival("d", report))
    await do(OfferHandoff(kind="help", queue="second", note=word("handoff")), stream)
    await do(Resolve(reason=word("reason")), stream)
    await here.intake.submit(arrival(word("id"), MessageArrived(text=word("digest")), MAIL, source=word("source")))
    await refused(here, files)
    bob = await here.intake.submit(arrival("b1", MessageArrived(text="and me"), BOB, MAIL))
    for identity, other in ((MAIL, ann), (WEAK, "")):
        await do(CloseIdentityReview(identity=identity, other=other, reason=word("edge")), bob.stream.partition("-")[0])
    return ann


async def refused(here: Front, files: AttachmentStore) -> None:
    """What of hers was refused, of which nobody knows whose it is."""
    mail = EmailMessage()
    mail["From"] = "nobody@example.org"
    mail.set_content(f"{word('mailed')} {MAIL.removeprefix('mailto:')}", cte="base64")
    large = f"From: {MAIL.removeprefix('mailto:')}\r\n\r\n{word('large')} {'x ' * 200_000}".encode()
    raws = [
        f'{{"text": "{word("refused")} 030 917364528"}}'.encode(),
        kept(bytes(mail), sender="", attachments=files),
        kept(large, sender="", attachments=files),
        keep_webhook(query="", body=f"From=%2B4930917364528&Body={word('form')}".encode()),
    ]
    for n, raw in enumerate(raws):
        await here.intake.quarantine(
            account="chat", source="test", id=f"q{n}", refusal=Refusal(Code.INVALID, "wrong"), raw=raw
        )


def forms(text: str) -> Iterator[bytes]:
    """How bytes may have it, in lower case but for Base64, of which only what does not hang on its neighbours."""
    yield from (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + text.encode()).rstrip(b"=")
        yield coded[(before * 8 + 5) // 6 : len(text.encode()) * 8 // 6 - 1]


def left(folder: Path) -> set[tuple[str, str]]:
    """(file, place) of each word that a file has. Of an index's word the beginning may be told by another's."""
    sought = {place: [*forms(word(place)), *list(forms(word(place)[3:]))[:3]] for place in PLACES}
    sought |= {each: [*forms(each)] for each in (PHONE.removeprefix("tel:+49"), CLAIM, CLAIM.lower())}
    found = set()
    for file in folder.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            both = held + b"\0\0\0" + held.lower()
            found |= {(file.name, place) for place, spelled in sought.items() if any(each in both for each in spelled)}
    return found


async def test_of_a_person_with_words_in_each_place_no_file_has_one(tmp_path: Path) -> None:
    """The archive is what a rebuild makes; and what somebody else says of them from then on is new."""
    files = AttachmentStore(tmp_path / "attachments")
    files.open()
    accounts: list[Account] = [
        GatewayAccount(name="chat", trusted=True),
        GatewayAccount(name="phone", channel="phone"),
        GatewayAccount(name="web", channel="web", trusted=True),
    ]
    settings = Settings(data=str(tmp_path), cells=1, http=Http(port=0), region="DE", accounts=accounts)
    clock = [NOW_MS]
    async with served(settings, clock) as here:
        ann = await lived(here, files, clock)
    held = {place for _, place in left(tmp_path)}
    assert held == {*PLACES, PHONE.removeprefix("tel:+49"), CLAIM, CLAIM.lower()}
    act = Act(customer=ann, actor="operator:olga", reason="their request", at_ms=clock[0] + 1)
    await erase(settings, act, lambda at, head: None)
    assert left(tmp_path) == set()
    await check_against_rebuilt(settings)
    async with served(settings, clock) as here:
        again = await here.intake.submit(arrival("b2", MessageArrived(text="and again"), BOB, MAIL))
        assert again.status == "committed"
    assert {place for _, place in left(tmp_path)} == {"mailbox"}
