"""vCons of the past: ours come back as they were, those of others are read, and what is none is told."""

from typing import Any

import msgspec
import pytest

from adapters.past import BadPast
from adapters.past_vcon import read_vcons
from adapters.vcon import PURPOSE, to_vcon
from protocol.entities import Direction
from protocol.inbound import PastConversation, PastMessage
from tests.adapters.past_files import AT_MS, GIVEN, contacts, fault, past

NO_FILES: dict[str, bytes] = {}


def test_a_vcon_of_ours_comes_back_as_it_was() -> None:
    """Who the customer is, who had it, and who said what."""
    row: dict[str, Any] = {
        "conversation": "cu1-1",
        "customer": "cu1",
        "status": "closed",
        "queue": "bills",
        "owner": "",
        "context": [],
        "context_values": [],
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
    vcon = to_vcon(row, events, NO_FILES.get)
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


ANN, BO, CY = {"tel": "+447700900123"}, {"mailto": "bo@desk.example"}, {"tel": "+442079460000"}
BO_SAYS = {"type": "text", "originator": 0, "body": "This is Bo"}
BO_FIRST = [BO_SAYS, {"type": "text", "originator": 1, "body": "Hi Bo"}]


@pytest.mark.parametrize(
    ("parties", "dialog", "identity"),
    [
        ([BO | {"role": "agent"}, ANN | {"role": "customer"}], BO_FIRST, "tel:+447700900123"),
        ([BO | {"role": "Agent"}, ANN], BO_FIRST, "tel:+447700900123"),
        ([BO, ANN | {"role": "customer"}], BO_FIRST, "tel:+447700900123"),
        ([BO | {"role": "supervisor"}, CY | {"role": "sme"}, ANN], [BO_SAYS], "tel:+447700900123"),
        ([BO | {"role": "agent"}, CY | {"role": "thirdparty"}, ANN | {"role": "customer"}], [], "tel:+447700900123"),
        ([BO | {"role": "agent"}, CY, ANN], [{"type": "recording", "parties": [[0], [2]]}], "tel:+447700900123"),
        ([BO | {"role": "agent"}], [BO_SAYS], "mailto:bo@desk.example"),
        ([BO | {"role": None}, ANN], BO_FIRST, "mailto:bo@desk.example"),
    ],
)
def test_who_is_said_to_be_an_agent_is_not_the_customer(
    parties: list[dict[str, Any]], dialog: list[dict[str, Any]], identity: str
) -> None:
    """Of what we began the agent spoke first: all of it would be one customer's, who has the agent's address."""
    vcon = {"uuid": "u1", "created_at": "2023-11-14T22:13:20Z", "parties": parties, "dialog": dialog}
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert event.identities == [identity]
    if dialog is BO_FIRST:
        inbound = "Hi Bo" if identity.startswith("tel:") else "This is Bo"
        assert [m.text for m in past(event).messages if m.direction is Direction.INBOUND] == [inbound]


def test_what_is_null_is_not_there() -> None:
    """As programs write it that write all that there could be."""
    nothing = dict.fromkeys(("subject", "group", "attachments", "analysis", "redacted", "critical"))
    said: dict[str, Any] = {"type": "text", "parties": [0]}
    said |= {"body": "<p>Hi,<br>it is <b>me</b></p>", "mimetype": "text/html; charset=x"}
    said |= dict.fromkeys(("start", "originator", "url", "duration", "application", "encoding"))
    party = {"tel": "+447700900123", "mailto": None, "uuid": None, "name": None}
    vcon = {"uuid": "u1", "created_at": "2023-11-14T22:13:20Z", "parties": [party], "dialog": [said], **nothing}
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert (event.identities, event.channel, event.time_ms) == (["tel:+447700900123"], "email", AT_MS)
    assert past(event).messages == [PastMessage(at_ms=AT_MS, text="Hi,\nit is me")]


@pytest.mark.parametrize("duration", [60, 60.0, "60", "60.0"])
def test_a_duration_may_be_in_quotes(duration: float | str) -> None:
    """It should not, and is a number all the same."""
    said = {"type": "recording", "start": "2023-11-14T22:13:20Z", "duration": duration, "parties": 0}
    vcon = {"uuid": "u1", "parties": [{"tel": "+447700900123"}], "dialog": [said]}
    [event] = contacts(read_vcons(msgspec.json.encode(vcon).decode(), **GIVEN))
    assert past(event).ended_ms == AT_MS + 60_000


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


@pytest.mark.parametrize("key", ["critical", "must_support"])
def test_what_may_only_be_read_by_who_knows_an_extension_is_not_read(key: str) -> None:
    """By its name before 0.4.0, too."""
    vcon = {"vcon": "0.4.0", "uuid": "u1", "parties": [{}], key: ["masked"]}
    text = msgspec.json.encode(vcon).decode()
    assert "the extension 'masked'" in fault(lambda: read_vcons(text, **GIVEN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no vCon"),
        ('{"vcon": "\\ud800"}', "it is no vCon: a string has half of a surrogate pair"),
        ('{"vcon": ' + "[" * 100_000, "it is no vCon"),
        ('{"payload": ""}', "vCon 1: it has no `vcon`"),
        ('{"vcon": "0.4.0", "parties": []}', "vCon 1: it has no `parties`, so nobody is the customer"),
        ('{"vcon": "0.4.0", "parties": null}', "vCon 1: it has no `parties`, so nobody is the customer"),
        ('{"vcon": "0.4.0", "parties": ["ann"]}', "vCon 1: `parties` must be a list of objects"),
        ('{"vcon": "0.4.0", "parties": "ann", "dialog": {}}', "vCon 1: `parties` must be a list of objects"),
        ('{"vcon": "0.4.0", "parties": [{}], "dialog": {}}', "vCon 1: `dialog` must be a list of objects"),
        ('{"vcon": "0.4.0", "parties": [{}], "dialog": [{"parties": {}}]}', "vCon 1: it does not have the form"),
        ('{"parties": [{"tel": "+1"}], "uuid": null}', "vCon 1: uuid is missing"),
        (
            '{"vcon": "0.4.0", "parties": [{}], "uuid": "u", "created_at": "2023-11-14T22:13:20Z"}',
            "vCon 1: party 0, the customer, has neither `tel` nor `mailto`",
        ),
        (
            '{"vcon": "0.4.0", "parties": [{"tel": "+1"}], "dialog": [{"parties": [0, [1]]}]}',
            "vCon 1: a dialog is of party 1, and `parties` has 1, from 0 on",
        ),
        ('{"vcon": "0.4.0", "parties": [{"tel": "+1"}], "dialog": [{"originator": -1}]}', "of party -1"),
        (
            '{"parties": [{}], "dialog": [{"start": "2023-11-14T22:13:20Z", "duration": "a minute"}]}',
            "vCon 1: duration is 'a minute'; write a number of seconds",
        ),
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
        (f'{{"parties": [{{}}], "attachments": [{{"type": "{PURPOSE}", "body": "("}}]}}', "vCon 1: it does not have"),
    ],
)
def test_what_is_no_vcon_is_said(text: str, said: str) -> None:
    """Also where it is one that has to be opened first."""
    assert said in fault(lambda: read_vcons(text, **GIVEN))


def test_all_that_is_wrong_in_a_list_is_told_in_one_go() -> None:
    """In the contacts' places."""
    vcons = '[{"payload": ""}, {"vcon": "0.4.0", "parties": []}]'
    assert [isinstance(each, BadPast) for each in read_vcons(vcons, **GIVEN)] == [True, True]
