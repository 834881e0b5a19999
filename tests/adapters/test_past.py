"""Contacts of the past: a file in, inbound events out; a file that does not fit is told where."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from adapters.past import BadPast, Read, read_csv, read_json_lines, read_vcons
from adapters.vcon import PURPOSE, to_vcon
from protocol.entities import Direction
from protocol.inbound import TEXT_MAX, InboundEvent, PastConversation, PastMessage

GIVEN = {"account": "mail", "channel": "email", "source": "old"}
AT_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def test_identities_are_a_list_by_either_name() -> None:
    """Or words with spaces between."""
    forms = ('"identity": ["user:1", "crm:2"]', '"identities": ["user:1", "crm:2"]', '"identity": "user:1 crm:2"')
    lines = [f'{{"id": {n}, "at": 1700000000000, {form}}}' for n, form in enumerate(forms)]
    read = contacts(read_json_lines(lines, **GIVEN))
    assert [contact.identities for contact in read] == [["user:1", "crm:2"]] * 3


def past(event: InboundEvent) -> PastConversation:
    """What it says."""
    assert isinstance(event.data, PastConversation)
    return event.data


def contacts(read: Iterable[Read]) -> list[InboundEvent]:
    """All of a file that has no fault."""
    read = list(read)
    assert not [bad for bad in read if isinstance(bad, BadPast)]
    return [contact for contact in read if isinstance(contact, InboundEvent)]


CSV = """id,identity,channel,at,ended_at,subject,queue,direction,author,text
1,mailto:ann@example.org tel:+447700900123,,2023-11-14T22:13:20Z,2023-11-14T23:13:20Z,Bill,bills,inbound,,"My bill,
is wrong"
1,,,2023-11-14T23:13:20+01:00,,,,outbound,bo,Which?
2,tel:+447700900123,sms,1700000000000,,,,,,Hi
"""


def test_csv_rows_of_one_id_are_one_contact() -> None:
    """The first row has the contact's own fields; text may have commas and lines."""
    one, two = contacts(read_csv(CSV.splitlines(keepends=True), **GIVEN))
    assert (one.id, one.account, one.channel, one.source, one.time_ms) == ("1", "mail", "email", "old", AT_MS)
    assert one.identities == ["mailto:ann@example.org", "tel:+447700900123"]
    assert past(one) == PastConversation(
        messages=[
            PastMessage(at_ms=AT_MS, text="My bill,\nis wrong"),
            PastMessage(at_ms=AT_MS, text="Which?", direction=Direction.OUTBOUND, author="bo"),
        ],
        subject="Bill",
        queue="bills",
        ended_ms=AT_MS + 3_600_000,
    )
    assert (two.id, two.channel, two.time_ms, past(two).messages[0].text) == ("2", "sms", AT_MS, "Hi")


def test_json_lines_are_a_contact_a_line() -> None:
    """With messages, with one text, or without a word; without an offset a time is UTC."""
    lines = [
        '{"id": 7, "identities": ["user:1"], "at": "2023-11-14T22:13:20",'
        ' "messages": [{"at": 1700000000001, "text": "a"}]}',
        "",
        '{"id": "8", "identity": "user:1", "at": 1700000000000, "text": "b", "direction": "outbound", "author": "bo"}',
        '{"id": "9", "identity": "user:1", "at": 1700000000000, "channel": "phone"}',
    ]
    one, two, three = contacts(read_json_lines(lines, **GIVEN))
    assert (one.id, one.time_ms, past(one).messages) == ("7", AT_MS, [PastMessage(at_ms=AT_MS + 1, text="a")])
    assert past(two).messages == [PastMessage(at_ms=AT_MS, text="b", direction=Direction.OUTBOUND, author="bo")]
    assert (three.channel, past(three).messages) == ("phone", [])


def test_a_vcon_of_ours_comes_back_as_it_was() -> None:
    """Who the customer is, who had it, and who said what."""
    row: dict[str, Any] = {
        "conversation": "cu1-1",
        "customer": "cu1",
        "status": "closed",
        "queue": "bills",
        "owner": "",
        "context": [],
        "opened_at_ms": AT_MS,
        "updated_at_ms": AT_MS,
        "resolved_at_ms": None,
        "closed_at_ms": AT_MS,
        "subject": "Bill",
        "relations": [],
        "moved": [],
        "interactions": [
            {"interaction": 1, "channel": "chat", "account": "chat", "identity": "chat:ann", "direction": "inbound"}
            | {"started_at_ms": AT_MS, "ended_at_ms": AT_MS}
        ],
    }
    said = {"interaction": 1, "channel": "chat"}
    events = [
        {**said, "type": "MessageReceived", "at_ms": AT_MS, "actor": "customer", "identity": "chat:ann", "source": "s"}
        | {"id": "m1", "provider_ms": AT_MS, "text": "hello"},
        {**said, "type": "MessageQueued", "at_ms": AT_MS + 1, "actor": "agent:bo", "delivery": "cu1-1.4"}
        | {"account": "chat", "to": "chat:ann", "text": "hi Ann"},
        {"type": "DeliverySent", "at_ms": AT_MS + 2, "actor": "system", "delivery": "cu1-1.4"},
    ]
    vcon = to_vcon(row, events, {}.get)
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert (event.id, event.channel, event.identities, event.time_ms) == (vcon["uuid"], "chat", ["chat:ann"], AT_MS)
    assert past(event).queue == "bills"
    assert past(event).messages == [
        PastMessage(at_ms=AT_MS, text="hello"),
        PastMessage(at_ms=AT_MS + 1, text="hi Ann", direction=Direction.OUTBOUND, author="bo"),
    ]


def test_a_vcon_of_others_is_of_whoever_spoke_first() -> None:
    """With all addresses of that party; a list has several."""
    vcon = {
        "vcon": "0.4.0",
        "uuid": "u1",
        "created_at": "2023-11-14T22:13:20Z",
        "parties": [{"name": "Bo"}, {"tel": "+447700900123", "uuid": "x"}, {"mailto": "ann@example.org", "uuid": "x"}],
        "dialog": [
            {"type": "text", "start": "2023-11-14T22:13:20Z", "parties": [1, 0], "body": "hello"},
            {"type": "text", "start": "2023-11-14T22:13:21Z", "parties": [1, 0], "originator": 0, "body": "hi"},
            {"type": "recording", "start": "2023-11-14T22:13:22Z", "parties": [0, 1]},
        ],
    }
    [event] = contacts(read_vcons(msgspec.json.encode([vcon]).decode(), **GIVEN))
    assert event.identities == ["tel:+447700900123", "mailto:ann@example.org"]
    assert [(m.text, m.direction, m.author) for m in past(event).messages] == [
        ("hello", "inbound", ""),
        ("hi", "outbound", "Bo"),
    ]


@pytest.mark.parametrize("made", ["2026-11-25T09:00:00Z", ""])
def test_a_call_was_when_it_was_and_not_when_its_vcon_was_made(made: str) -> None:
    """A recording has no words here; the dialogs stand in any order, and whoever the call was with is the customer."""
    vcon = {
        "uuid": "u1",
        **({"created_at": made} if made else {}),
        "parties": [{"tel": "+447700900123"}, {"tel": "+442079460000"}],
        "dialog": [
            {"type": "recording", "start": "2023-11-14T23:14:20+01:00", "duration": 33.5, "parties": [1, 0]},
            {"type": "recording", "start": "2023-11-14T22:13:20Z", "parties": [0, 1]},
        ],
    }
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert (event.time_ms, past(event).ended_ms) == (AT_MS, AT_MS + 60_000 + 33_500)
    assert event.identities == ["tel:+442079460000"]


def test_both_forms_of_a_vcon_are_read() -> None:
    """0.3.0 has other names, and bodies that are text; 0.4.0 has JSON values, and encodes what is no JSON string."""
    ours = {"interactions": [{"identity": "mailto:ann@example.org"}], "queue": "bills"}
    said = {"type": "text", "start": "2023-11-14T22:13:20Z", "parties": [1, 0], "application": "email"}
    shared = {
        "uuid": "u1",
        "created_at": "2023-11-14T22:13:20Z",
        "parties": [{"mailto": "ann@example.org"}, {"name": "bo", "validation": "none"}],
    }
    older = {
        **shared,
        "vcon": "0.3.0",
        "must_support": [],
        "appended": {},
        "dialog": [{**said, "body": "Grüße", "encoding": "none", "session_id": "s"}],
        "attachments": [{"type": PURPOSE, "body": msgspec.json.encode(ours).decode(), "encoding": "json"}],
    }
    newer = {
        **shared,
        "vcon": "0.4.0",
        "critical": [],
        "dialog": [
            {**said, "body": "R3LDvMOfZQ", "encoding": "base64url", "session_id": {"local": "l", "remote": "r"}}
        ],
        "attachments": [{"purpose": PURPOSE, "body": ours, "encoding": "json"}],
    }
    read = [contacts(read_vcons(msgspec.json.encode(form).decode(), **GIVEN))[0] for form in (older, newer)]
    assert read[0] == read[1]
    assert isinstance(read[0].data, PastConversation)
    (message,) = read[0].data.messages
    assert (message.text, message.direction, message.author) == ("Grüße", Direction.OUTBOUND, "bo")
    assert (read[0].data.queue, read[0].identities) == ("bills", ["mailto:ann@example.org"])


def test_a_text_whose_time_is_not_known_is_of_the_conversations() -> None:
    """`start` should be there, and need not."""
    vcon = {
        "vcon": "0.4.0",
        "uuid": "u1",
        "created_at": "2023-11-14T22:13:20Z",
        "parties": [{"tel": "+447700900123"}],
        "dialog": [{"type": "text", "parties": 0, "body": "Hi", "encoding": "none"}],
    }
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert isinstance(event.data, PastConversation)
    assert event.data.messages[0].at_ms == event.time_ms


def fault(reading: Callable[[], Iterable[Read]]) -> str:
    """What is wrong with a file, or with its only contact."""
    try:
        [bad] = reading()
    except BadPast as exc:
        return str(exc)
    assert isinstance(bad, BadPast)
    return str(bad)


@pytest.mark.parametrize("key", ["critical", "must_support"])
def test_what_may_only_be_read_by_who_knows_an_extension_is_not_read(key: str) -> None:
    """By its name before 0.4.0, too."""
    vcon = {"vcon": "0.4.0", "uuid": "u1", "parties": [{}], key: ["masked"]}
    text = msgspec.json.encode(vcon).decode()
    assert "the extension 'masked'" in fault(lambda: read_vcons(text, **GIVEN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,identity,at\n1,user:1\n", "line 2: it has not as many fields"),
        ("id,identity,at\n1,user:1,noon\n", "line 2: at is 'noon'; write 2026-11-25"),
        ("id,identity,at,txt\n1,user:1,1700000000000,x\n", "line 1: there is no field 'txt'; known are at"),
        ("id;identity;at\n1;user:1;1700000000000\n", "line 1: fields are separated by commas"),
        ("id,identity,at\n,user:1,1700000000000\n", "line 2: id is missing"),
        ("id,identity,at\n1,,1700000000000\n", "line 2: identity is missing"),
        ("id,identity,at,text,direction\n1,user:1,1700000000000,x,in\n", "line 2: direction is 'in'; write inbound"),
        ('id,identity,at\n1,"user:1,1700000000000\n', "line 2: unexpected end of data"),
        ("id,identity,at,text,text\n1,user:1,1700000000000,x,y\n", "line 1: there are two fields 'text'"),
    ],
)
def test_a_fault_in_csv_names_its_line(text: str, said: str) -> None:
    """And what to write instead."""
    assert said in fault(lambda: read_csv(text.splitlines(keepends=True), **GIVEN))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "line 1: it is no JSON object"),
        ("[]", "line 1: it is no JSON object"),
        ('{"id": ' + "[" * 100_000, "line 1: it is no JSON object"),
        ('{"id": 1, "identity": "user:1", "at": 1, "messages": 2}', "line 1: messages must be a list"),
        ('{"id": 1, "identity": "user:1", "at": {}}', "line 1: at is '{}'; write"),
        ('{"id": 1, "identity": "user:1", "at": 9007199254740992}', "line 1: at is '9007199254740992'; write"),
        (f'{{"id": 1, "identity": "user:1", "at": "{"9" * 5000}"}}', "line 1: at is '999"),
        ('{"id": 1, "identity": "user:1", "at": 1, "messages": [{"text": "x"}]}', "line 1: at is ''"),
        ('{"id": 1, "identity": "user:1", "at": true}', "line 1: at is 'True'; write"),
        ('{"id": "\\ud800"}', "line 1: it is no JSON object: a string has half of a surrogate pair"),
        ('{"id": 1, "identity": "user:1", "at": 1, "text": "x", "messages": []}', "text stands beside messages"),
        (
            '{"id": 1, "identity": "user:1", "at": 1, "messages": [{"at": 1, "body": "x"}]}',
            "1: there is no field 'body'",
        ),
        ('{"id": {}, "identity": "user:1", "at": 1}', "line 1: id must be a text"),
        ('{"id": 1, "identity": {"a": 1}, "at": 1}', "line 1: identity must be a text"),
        ('{"id": 1, "identity": ["user:1", ["user:2"]], "at": 1}', "line 1: identity must be a text"),
        ('{"id": 1, "identity": "user:1", "at": 1, "subject": ["x"]}', "line 1: subject must be a text"),
        ('{"id": 1, "identity": "user:1", "at": 1, "text": ["x"]}', "line 1: text must be a text"),
    ],
)
def test_a_fault_in_json_lines_names_its_line(line: str, said: str) -> None:
    """Whatever stands there."""
    assert said in fault(lambda: read_json_lines([line], **GIVEN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no vCon"),
        ('{"vcon": "\\ud800"}', "it is no vCon: a string has half of a surrogate pair"),
        ('{"vcon": ' + "[" * 100_000, "it is no vCon"),
        ('{"payload": ""}', "vCon 1: it has no `vcon`"),
        ('{"vcon": "0.4.0", "parties": []}', "vCon 1: it does not have the form"),
        (
            '{"vcon": "0.4.0", "parties": [{}], "uuid": "u", "created_at": "2023-11-14T22:13:20Z"}',
            "identity is missing",
        ),
        ('{"vcon": "0.4.0", "parties": [{"tel": "+1"}], "dialog": [{"type": "text", "parties": [[]]}]}', "the form"),
        (
            '{"parties": [{}], "dialog": [{"type": "text", "url": "https://x.example"}]}',
            "vCon 1: a text has its words not",
        ),
        ('{"parties": [{}], "dialog": [{"type": "text", "body": {"a": 1}}]}', "vCon 1: a text has its words not"),
        ('{"vcon": "0.4.0", "parties": [], "critical": 5}', "vCon 1: it does not have the form"),
        ('{"vcon": "0.4.0", "parties": [], "critical": {"a": 1}}', "vCon 1: it does not have the form"),
        ('{"vcon": "0.4.0", "parties": [{"tel": "+1"}], "dialog": [{"originator": "x"}]}', "vCon 1: it does not have"),
        (
            '{"parties": [{}], "dialog": [{"start": "2023-11-14T22:13:20Z", "duration": 1e308}]}',
            "vCon 1: it does not have the form",
        ),
        (
            '{"uuid": "u", "parties": [{"tel": "1"}], "dialog": [{"start": "2023-11-14T22:13:20Z", "duration": 1e99}]}',
            "vCon 1: ended_at is",
        ),
        (f'{{"parties": [], "attachments": [{{"type": "{PURPOSE}", "body": "("}}]}}', "vCon 1: it does not have"),
    ],
)
def test_what_is_no_vcon_is_said(text: str, said: str) -> None:
    """Also where it is one that has to be opened first."""
    assert said in fault(lambda: read_vcons(text, **GIVEN))


def test_a_text_of_csv_may_be_as_long_as_a_message() -> None:
    """One that is longer is the server's to refuse, and does not keep the others out."""
    rows = "".join(
        f"{n},user:1,1700000000000,{'x' * length}\n" for n, length in ((1, TEXT_MAX), (2, 2 * TEXT_MAX), (3, 1))
    )
    read = contacts(read_csv(f"id,identity,at,text\n{rows}".splitlines(keepends=True), **GIVEN))
    assert [len(past(contact).messages[0].text) for contact in read] == [TEXT_MAX, 2 * TEXT_MAX, 1]


def test_all_that_is_wrong_in_a_file_is_told_in_one_go() -> None:
    """In the contacts' places, and the others are read."""
    text = "id,identity,at\n1,user:1,1700000000000\n2,user:2,noon\n3,user:3,1700000000000,x\n"
    read = list(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert [str(each) if isinstance(each, BadPast) else each.id for each in read] == [
        "1",
        "line 3: at is 'noon'; write 2026-11-25T08:30:00Z or milliseconds since 1970",
        "line 4: it has not as many fields as the header",
    ]
    lines = ["nonsense", '{"id": 1, "identity": "user:1", "at": 1}', "[]"]
    assert [isinstance(each, BadPast) for each in read_json_lines(lines, **GIVEN)] == [True, False, True]
    vcons = '[{"payload": ""}, {"vcon": "0.4.0", "parties": []}]'
    assert [isinstance(each, BadPast) for each in read_vcons(vcons, **GIVEN)] == [True, True]


def test_of_a_contact_whose_rows_stand_apart_no_part_is_taken_in() -> None:
    """Half of it would be another contact than the whole, once the file is in order; what else is wrong is told too."""
    ids = ("1", "1", "2", "1", "", "3", "", "1")
    text = "id,identity,at\n" + "".join(f"{id},user:1,1700000000000\n" for id in ids) + "1,user:1\n"
    read = list(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert [str(each) if isinstance(each, BadPast) else each.id for each in read] == [
        "line 2: rows of '1' stand in line 5 too; those of one contact follow each other",
        "2",
        "line 6: id is missing",
        "3",
        "line 8: id is missing",
        "line 10: it has not as many fields as the header",
    ]
