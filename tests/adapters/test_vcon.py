"""A conversation as a vCon, field by field as draft-ietf-vcon-vcon-core-04 has them."""

import base64
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from adapters.stores.archive.memory import MemoryArchive
from adapters.vcon import PURPOSE, UNDELIVERED, _mediatype, to_vcon, vcon_uuid
from protocol import events as ev
from protocol.entities import Interaction
from protocol.inbound import Attachment
from tests.adapters.stores.story import HOUR_MS, Story
from tests.adapters.vcon_schema import checked

ANN, MAIL, CHAT = "cuann0000000000000", "mailto:ann@example.org", "chat:ann"
FIRST = f"{ANN}-1"
BILL = b"the bill"
NO_FILES: dict[str, bytes] = {}

ALLOWED = {
    "vcon": {"vcon", "uuid", "extensions", "critical", "created_at", "updated_at", "subject", "redacted", "amended"}
    | {"parties", "dialog", "analysis", "attachments"},
    "party": {"tel", "sip", "stir", "mailto", "name", "did", "validation", "gmlpos", "civicaddress", "uuid", "type"}
    | {"org", "dept"},
    "dialog": {"type", "start", "duration", "parties", "originator", "mediatype", "filename", "body", "encoding"}
    | {"url", "content_hash", "session_id", "party_history", "application", "message_id"},
    "attachment": {"purpose", "start", "party", "dialog", "mediatype", "filename", "body", "encoding", "url"}
    | {"content_hash"},
}
"""The parameters that the draft knows, by object."""


def told() -> Story:
    """Ann mails a bill, is answered by an agent and noted; comes by chat; a machine of hers answers."""
    story = Story(now_ms=1_700_000_000_123)
    file = Attachment(name="bill.pdf", media_type="application/pdf", size_bytes=8, sha256="a" * 64)
    gone = Attachment(name="gone.pdf", media_type="application/pdf", size_bytes=8, sha256="b" * 64)
    story.meet(ANN, MAIL, "email", "My bill is wrong", subject="Bill")
    mail = msgspec.structs.replace(story.message(1, MAIL, "email", "Here it is"), attachments=[file, gone])
    story.unit(ANN, (FIRST, msgspec.structs.replace(mail, reference="<m2@example.org>")))
    story.now_ms += HOUR_MS
    story.reply(ANN, FIRST, 1, MAIL, "email", "Thank you")
    story.unit(ANN, (FIRST, ev.NoteAdded(at_ms=0, actor="agent:bo", text="read twice")))
    number = ev.ContextSet(at_ms=0, actor="agent:bo", key="meter", value=4711)
    pin = ev.ContextSet(at_ms=0, actor="agent:bo", key="pin", value="1234", sensitivity="secret")
    story.unit(ANN, (FIRST, number), (FIRST, pin))
    kept = ev.ContextSet(at_ms=0, actor="agent:bo", key="iban", value="DE89", sensitivity="secret")
    said = ev.ContextSet(at_ms=0, actor="account:crm", channel="crm", key="iban", value="DE89", version=2)
    story.unit(ANN, (FIRST, kept), (FIRST, said))
    story.unit(ANN, (FIRST, story.contact(2, CHAT, "chat")), (FIRST, story.message(2, CHAT, "chat", "Hello?")))
    return story


@pytest.fixture
async def vcon() -> dict[str, Any]:
    """The story's conversation, through an archive."""
    story = told()
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    row = await archive.conversation(FIRST)
    assert row is not None
    events = [msgspec.json.decode(event.body) for event in await archive.events_of_stream(FIRST, 0, 100)]
    await archive.close()
    made = to_vcon(row, events, {"a" * 64: BILL}.get)
    assert made == to_vcon(row, events, {"a" * 64: BILL}.get)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return decoded


def test_all_of_it_has_the_drafts_form(vcon: dict[str, Any]) -> None:
    """By a schema of ours, written from its text."""
    checked(vcon)


def test_a_wrong_media_type_is_not_passed_on() -> None:
    """§2.2: type, slash, subtype."""
    assert [_mediatype(said) for said in ("application/pdf", "pdf", "", "/x", "x/")] == [
        "application/pdf",
        *["application/octet-stream"] * 4,
    ]


def test_the_container_has_what_must_be_there_and_no_more(vcon: dict[str, Any]) -> None:
    """§4.1: what must be there is, and nothing that the draft does not know."""
    assert vcon.keys() == {"vcon", "uuid", "created_at", "updated_at", "subject", "parties", "dialog", "attachments"}
    assert vcon.keys() <= ALLOWED["vcon"]
    assert vcon["vcon"] == "0.4.0"
    assert vcon["subject"] == "Bill"
    assert vcon["created_at"] == "2023-11-14T22:13:20.123Z"
    assert vcon["updated_at"] == "2023-11-14T23:13:20.123Z"


def test_the_uuid_is_of_version_8_and_always_the_same(vcon: dict[str, Any]) -> None:
    """It begins with the time, and differs between conversations of one moment."""
    one = uuid.UUID(vcon["uuid"])
    assert (one.version, one.variant) == (8, uuid.RFC_4122)
    assert one.int >> 80 == 1_700_000_000_123
    assert vcon["uuid"] == vcon_uuid(FIRST, 1_700_000_000_123) != vcon_uuid(f"{ANN}-2", 1_700_000_000_123)


def test_each_address_account_and_agent_is_a_party(vcon: dict[str, Any]) -> None:
    """The customer at each address, with one uuid; the account and the agent."""
    assert all(party.keys() <= ALLOWED["party"] for party in vcon["parties"])
    mail, account, agent, _bo, chat, *_ = vcon["parties"]
    assert (mail["mailto"], mail["type"]) == ("ann@example.org", "person")
    assert (account["name"], account["type"]) == ("email", "organization")
    assert (agent["type"], agent["validation"]) == ("person", "token")
    assert (chat["name"], chat["validation"]) == (CHAT, "channel")
    assert mail["uuid"] == chat["uuid"] != agent["uuid"]
    assert all(party["type"] in ("person", "bot", "organization") for party in vcon["parties"])
    assert all("validation" in party for party in vcon["parties"] if "name" in party)


def test_each_message_is_a_dialog_once_in_order(vcon: dict[str, Any]) -> None:
    """Each message once, in order, from whom to whom."""
    dialog = vcon["dialog"]
    assert [(said["body"], said["parties"]) for said in dialog] == [
        ("My bill is wrong", [0, 1]),
        ("Here it is", [0, 1]),
        ("Thank you", [2, 0]),
        ("Hello?", [4, 5]),
    ]
    for said in dialog:
        assert said.keys() <= ALLOWED["dialog"]
        assert (said["type"], said["mediatype"], said["encoding"]) == ("text", "text/plain", "none")
        assert datetime.fromisoformat(said["start"]).tzinfo == UTC
        assert all(0 <= index < len(vcon["parties"]) for index in said["parties"])
    assert [said["application"] for said in dialog] == ["email", "email", "email", "chat"]
    assert dialog[1]["message_id"] == "<m2@example.org>"


def test_files_notes_and_context_are_attachments(vcon: dict[str, Any]) -> None:
    """Files inline where they are there, named where not; the note; the context, without what is secret; ours."""
    found = vcon["attachments"]
    for one in found:
        assert one.keys() <= ALLOWED["attachment"]
        assert datetime.fromisoformat(one["start"]).tzinfo == UTC
        assert 0 <= one["party"] < len(vcon["parties"])
        assert 0 <= one["dialog"] < len(vcon["dialog"])
        assert ("body" in one) == ("encoding" in one)
    file, gone, note, context, ours = found
    assert (file["filename"], file["mediatype"], file["dialog"]) == ("bill.pdf", "application/pdf", 1)
    assert (file["encoding"], "=" in file["body"]) == ("base64url", False)
    assert base64.urlsafe_b64decode(file["body"] + "==") == BILL
    assert (gone["filename"], "body" in gone) == ("gone.pdf", False)
    assert (note["purpose"], note["body"], note["encoding"], note["dialog"]) == ("note", "read twice", "none", 2)
    assert (context["purpose"], context["encoding"], context["body"]["key"]) == ("context", "json", "meter")
    assert context["body"]["value"] == 4711
    assert (ours["purpose"], ours["body"]["conversation"]) == (PURPOSE, FIRST)
    assert [contact["channel"] for contact in ours["body"]["interactions"]] == ["email", "chat"]
    assert "1234" not in str(vcon)
    assert "DE89" not in str(vcon), "what one source keeps is not given away as another's word"


async def test_a_conversation_without_words_is_still_a_vcon() -> None:
    """No attachment speaks of a dialog that is not there."""
    row = {
        **dict.fromkeys(("status", "queue", "owner", "subject"), ""),
        **dict.fromkeys(("opened_at_ms", "updated_at_ms", "resolved_at_ms", "closed_at_ms"), 1),
        "interactions": [],
        "relations": [],
        "moved": [],
        "context": [],
        "context_values": [],
        "conversation": FIRST,
        "customer": ANN,
    }
    vcon = to_vcon(row, [], NO_FILES.get)
    checked(vcon)
    assert vcon["dialog"] == [{"type": "text", "start": "1970-01-01T00:00:00.001Z"}]
    assert "subject" not in vcon
    assert vcon["attachments"][0]["dialog"] == 0
    call = {
        **dict.fromkeys(("interaction", "started_at_ms", "ended_at_ms"), 1),
        "channel": "phone",
        "account": "line",
        "identity": "tel:+447700900123",
        "direction": "outbound",
    }
    called = to_vcon({**row, "interactions": [call]}, [], NO_FILES.get)
    checked(called)
    (said,) = called["dialog"]
    assert (said["type"], said["application"], "body" in said) == ("recording", "phone", False)
    assert [called["parties"][index].get("tel") for index in said["parties"]] == [None, "+447700900123"]


async def test_a_note_before_the_first_word_names_the_first(vcon: dict[str, Any]) -> None:
    """An attachment has to name a dialog, and there is none yet."""
    story = Story()
    story.unit(ANN, (FIRST, ev.ConversationOpened(at_ms=0, customer=ANN, queue="q")))
    story.unit(ANN, (FIRST, ev.NoteAdded(at_ms=0, actor="agent:bo", text="she will write")))
    story.unit(ANN, (FIRST, story.contact(1, MAIL, "email")), (FIRST, story.message(1, MAIL, "email", "Here I am")))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    row = await archive.conversation(FIRST)
    assert row is not None
    events = [msgspec.json.decode(event.body) for event in await archive.events_of_stream(FIRST, 0, 100)]
    made = to_vcon(row, events, NO_FILES.get)
    checked(made)
    assert made["attachments"][0]["dialog"] == 0


async def exported(story: Story, conversation: str) -> dict[str, Any]:
    """A conversation's vCon, with the words of contacts that came to it."""
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    row = await archive.conversation(conversation)
    assert row is not None

    async def events_of(stream: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(event.body) for event in await archive.events_of_stream(stream, 0, 100)]

    origins = {moved["origin"]: await events_of(moved["origin"]) for moved in row["moved"]}
    made = to_vcon(row, await events_of(conversation), NO_FILES.get, origins)
    await archive.close()
    checked(made)
    return made


async def test_a_contact_takes_its_words_along() -> None:
    """To the conversation it was split off to, of another customer perhaps; where it was, nothing of it was said."""
    ben, second = "cuben0000000000000", "cuben0000000000000-1"
    story = Story()
    story.meet(ANN, MAIL, "email", "My bill is wrong")
    story.unit(ANN, (FIRST, story.contact(2, CHAT, "chat")), (FIRST, story.message(2, CHAT, "chat", "My claim")))
    story.now_ms += HOUR_MS
    story.reply(ANN, FIRST, 2, CHAT, "chat", "We look at it")
    contact = Interaction(number=1, channel="chat", account="chat", identity=CHAT, origins=((FIRST, 2),))
    story.unit(
        ANN,
        (FIRST, ev.InteractionMoved(at_ms=0, interaction=2, to=second, number=1)),
        (second, ev.ConversationOpened(at_ms=0, customer=ben, queue="q")),
        (second, ev.InteractionReceived(at_ms=0, interaction=contact, came_from=FIRST)),
    )
    story.unit(ben, (second, story.message(1, CHAT, "chat", "Any news?")))
    left, came = await exported(story, FIRST), await exported(story, second)
    assert [said["body"] for said in left["dialog"]] == ["My bill is wrong"]
    assert CHAT not in str(left["parties"])
    assert [said["body"] for said in came["dialog"]] == ["My claim", "We look at it", "Any news?"]
    assert [party.get("name") for party in came["parties"]][:2] == [CHAT, "chat"]


async def test_what_failed_and_waits_for_its_turn_is_queued() -> None:
    """As in the outbox."""
    story = Story()
    story.meet(ANN, MAIL, "email", "My bill is wrong")
    delivery = story.reply(ANN, FIRST, 1, MAIL, "email", "We look at it")
    failed = ev.DeliveryFailed(at_ms=0, delivery=delivery, code="503", reason="no", retry_at_ms=0)
    story.unit(ANN, (FIRST, failed))
    vcon = await exported(story, FIRST)
    [told] = [each["body"] for each in vcon["attachments"] if each["purpose"] == UNDELIVERED]
    assert (told["state"], told["reason"]) == ("queued", "no")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ((), ""),  # Its attempt began, and nobody knows more.
        ((ev.DeliverySent,), ""),
        ((ev.DeliveryFailed,), "waiting"),
        ((ev.DeliveryFailed, ev.DeliveryAttempted), ""),
        ((ev.DeliveryDead,), "dead"),
        ((ev.DeliveryDead, ev.DeliveryReplayed), "queued"),
        ((ev.DeliveryDead, ev.DeliveryReplayed, ev.DeliveryAttempted, ev.DeliverySent), ""),
        ((ev.DeliveryUncertain,), ""),
        ((ev.DeliveryUncertain, ev.DeliveryDead), ""),
    ],
)
async def test_what_never_left_was_not_said(facts: tuple[type[ev.AnyEvent], ...], state: str) -> None:
    """It is told as what it is: a message that is waiting, or was given up."""
    await _told_as_it_is(facts, state)


@pytest.mark.parametrize(("status", "state"), [("undelivered", "dead"), ("bounced", "dead"), ("read", "")])
async def test_a_report_on_what_was_given_up_says_whether_it_was_said(status: str, state: str) -> None:
    """That it did not arrive is no word that it left; that the customer has it is."""
    await _told_as_it_is((ev.DeliveryDead, ev.DeliveryConfirmed), state, status=status)


@pytest.mark.parametrize(("code", "state"), [("550", ""), ("not_left", "dead")])
async def test_what_was_held_and_did_not_leave_was_not_said(code: str, state: str) -> None:
    """As a person found out, and no attempt's answer can."""
    await _told_as_it_is((ev.DeliveryUncertain, ev.DeliveryDead), state, code)


def _fact(fact: type[ev.AnyEvent], **fields: Any) -> ev.AnyEvent:
    return fact(**fields)


async def _told_as_it_is(
    facts: tuple[type[ev.AnyEvent], ...], state: str, code: str = "30006", *, status: str = ""
) -> None:
    more: dict[type[ev.AnyEvent], dict[str, Any]] = {
        ev.DeliveryFailed: {"code": "busy", "reason": "line busy", "retry_at_ms": 1},
        ev.DeliveryDead: {"code": code, "reason": "landline"},
        ev.DeliveryUncertain: {"reason": "no answer"},
        ev.DeliveryAttempted: {"attempt": 2},
        ev.DeliveryConfirmed: {"status": status},
    }
    story = Story()
    story.meet(ANN, MAIL, "email", "My bill is wrong")
    delivery = story.reply(ANN, FIRST, 1, MAIL, "email", "We look at it")
    for fact in facts:
        story.unit(ANN, (FIRST, _fact(fact, at_ms=0, delivery=delivery, **more.get(fact, {}))))
    vcon = await exported(story, FIRST)
    assert [said["body"] for said in vcon["dialog"]][1:] == ([] if state else ["We look at it"])
    told = [each["body"] for each in vcon["attachments"] if each["purpose"] == UNDELIVERED]
    assert [(each["state"], each["text"], each["to"]) for each in told] == (
        [(state, "We look at it", MAIL)] if state else []
    )
