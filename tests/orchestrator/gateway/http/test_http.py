"""HTTP at a real gateway: every entrance, its token, its answers and its refusals."""

import asyncio
import base64
import json
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import pytest
from litestar.routes import HTTPRoute

from adapters.channels.twilio.inbound import FORM_BYTES_MAX
from adapters.channels.twilio.signature import sign
from adapters.stores.archive import pages
from adapters.stores.archive.timeline import EntriesWanted
from orchestrator.gateway.http.access import Needs
from orchestrator.gateway.http.http import application
from orchestrator.gateway.reads import history
from orchestrator.settings import Http, Limits
from protocol.archive import Dropped, StoredEvent
from protocol.commands import BeginReplay, EndReplay, LinkIdentity, MarkReplayed, ReplayDelivery, SettleDelivery
from protocol.commands.quarantine import form_of
from protocol.entities import ConversationSummary, CustomerView
from protocol.errors import Code, Refusal
from protocol.events import MessageReceived, NoteAdded
from protocol.inbound import Attachment, DeliveryReport, MessageArrived
from protocol.journal import Entry, Record
from protocol.links import Replay
from tests.orchestrator.gateway.clients import DEADLINE_S
from tests.orchestrator.gateway.conftest import NOW_MS, Running, Start, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def event(id: str = "m-1", **fields: Any) -> dict[str, Any]:
    """A whole CloudEvent, changed."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": "test",
        "type": "throughline.message.received",
        "time": "2027-01-15T08:00:00Z",
        "identities": "user:1",
        "data": {"text": "hello"},
        **fields,
    }


async def post(running: Running, body: Any, name: str = "chat", **headers: str) -> tuple[int, Any]:
    """Posts to /v1/events; the status and the decoded body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with running.http(name) as http:
        response = await http.post("/v1/events", content=content, headers=headers)
    return response.status_code, response.json()


# Events


async def test_a_structured_event_answers_after_its_commit(running: Running) -> None:
    """The account is the token's only one, the channel the account's."""
    status, answer = await post(running, event(), **STRUCTURED)
    assert status == 200
    assert (answer["id"], answer["status"], answer["conversation"], answer["seq"]) == ("m-1", "committed", "cu1-1", 1)
    (taken,) = running.intake.taken
    assert (taken.account, taken.channel, taken.time_ms) == ("chat", "chat", NOW_MS)
    assert taken.data == MessageArrived(text="hello")


async def test_an_event_that_cannot_be_written_is_refused_as_retryable(running: Running) -> None:
    """Its request is not held open, and nothing is taken."""
    running.intake.writing = False
    status, answer = await post(running, event(), **STRUCTURED)
    assert (status, answer["code"], answer["ref"]) == (503, Code.UNAVAILABLE, "m-1")
    assert running.intake.taken == []


async def test_a_binary_event_answers_the_same(running: Running) -> None:
    """Its attributes are headers."""
    headers = {f"ce-{name}": str(value) for name, value in event(identities="user:%C3%A9").items() if name != "data"}
    status, answer = await post(running, {"text": "hi"}, **headers, **{"Content-Type": "application/json"})
    assert (status, answer["status"]) == (200, "committed")
    assert running.intake.taken[0].identities == ["user:é"]


async def test_a_batch_answers_for_each(running: Running) -> None:
    """In order, with 207 where one was not committed."""
    assert (await post(running, [event("a"), event("b")], **BATCH))[0] == 200
    running.intake.refuse["full"] = Refusal(Code.OVERLOADED, "later", ref="full")
    batch = [event("c"), event("d", source=""), event("e", data={}), event("full")]
    status, answers = await post(running, batch, **BATCH)
    assert status == 207
    assert [(answer["id"], answer["status"]) for answer in answers] == [
        ("c", "committed"),
        ("d", "refused"),
        ("e", "quarantined"),
        ("full", "refused"),
    ]
    assert [answer["code"] for answer in answers] == [0, Code.INVALID, Code.INVALID, Code.OVERLOADED]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"data": {"text": 1}}, Code.INVALID),
        ({"type": "com.example.other"}, Code.UNKNOWN_TYPE),
        ({"id": "late"}, Code.TIME_IMPLAUSIBLE),
    ],
)
async def test_an_event_that_does_not_fit_is_kept_with_the_reason(
    running: Running, fields: dict[str, Any], code: Code
) -> None:
    """Whether the gateway or the intake found out."""
    running.intake.refuse["late"] = Refusal(Code.TIME_IMPLAUSIBLE, "too far ahead", ref="late", field="time")
    sent = event(**fields)
    status, answer = await post(running, sent, **STRUCTURED)
    assert (status, answer["status"], answer["code"]) == (202, "quarantined", code)
    assert answer["message"]
    assert answer["quarantine"] == "chat.1"
    ((account, source, id, refusal, raw),) = running.intake.quarantined
    assert (account, source, id, refusal.code) == ("chat", "test", sent["id"], code)
    assert json.loads(raw) == sent


@pytest.mark.parametrize(
    ("body", "headers", "status", "field"),
    [
        (event(id=""), STRUCTURED, 422, "id"),
        (event(time="noon"), STRUCTURED, 422, "time"),
        ({}, {"Content-Type": "application/json"}, 422, "specversion"),
        (b"{", STRUCTURED, 400, ""),
        (b"{}", BATCH, 400, ""),
        (b"[" * 50_000, STRUCTURED, 413, ""),
        (event(account="mail"), STRUCTURED, 404, "account"),
    ],
)
async def test_a_broken_request_names_what_is_wrong(
    running: Running, body: Any, headers: dict[str, str], status: int, field: str
) -> None:
    """Nothing is taken and nothing kept."""
    answered, error = await post(running, body, **headers)
    assert (answered, error["field"]) == (status, field)
    assert running.intake.taken == []
    assert running.intake.quarantined == []


async def test_a_token_of_several_accounts_must_name_one(running: Running) -> None:
    """`gateway:*` speaks for all of them."""
    status, error = await post(running, event(), "star", **STRUCTURED)
    assert (status, error["code"], error["field"]) == (422, Code.INVALID, "account")
    assert (await post(running, event(account="mail"), "star", **STRUCTURED))[0] == 200
    assert (running.intake.taken[0].account, running.intake.taken[0].channel) == ("mail", "email")


async def test_a_token_whose_account_is_gone_hears_which_it_is(start: Start) -> None:
    """A bundle may have left it out, or respelt it: to be told that the event names none would mend nothing."""
    running = await start(accounts={})
    status, error = await post(running, event(), **STRUCTURED)
    assert (status, error["code"], error["field"]) == (404, Code.UNKNOWN_ACCOUNT, "account")
    assert "'chat' is not configured" in error["message"]
    status, error = await post(running, event(), "star", **STRUCTURED)
    assert (status, error["code"]) == (422, Code.INVALID)


async def test_a_refusal_for_now_says_to_come_again(running: Running) -> None:
    """503 with Retry-After."""
    running.intake.refuse["m-1"] = Refusal(Code.OVERLOADED, "later")
    async with running.http("chat") as http:
        response = await http.post("/v1/events", json=event(), headers=STRUCTURED)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["code"] == Code.OVERLOADED


async def test_a_body_over_the_limit_is_refused(start: Start) -> None:
    """Announced or not."""
    running = await start(http=Http(port=0, body_bytes_max=1000))

    async def chunks() -> Any:
        yield b"x" * 1500

    async with running.http("chat") as http:
        for content in (b"x" * 1500, chunks()):
            response = await http.post("/v1/events", content=content)
            assert (response.status_code, response.json()["code"]) == (413, Code.TOO_LARGE)
            assert "1000 bytes; http.body_bytes_max" in response.json()["message"]


# Access


@pytest.mark.parametrize(
    "path",
    ["/v1/events", "/v1/context", "/v1/conversations", "/v1/quarantine", "/metrics", "/openapi.json", "/v1/x", "/"],
)
async def test_every_entrance_needs_a_token(running: Running, path: str) -> None:
    """Also one that is not there: a stranger learns nothing."""
    for headers in ({}, {"Authorization": "Bearer tl_x"}, {"Authorization": "Basic eDp5"}):
        async with running.http(**headers) as http:
            response = await http.get(path)
        assert (response.status_code, response.json()["code"]) == (401, Code.UNAUTHENTICATED)
        assert response.headers["www-authenticate"] == "Bearer"


def test_every_handler_names_its_scopes() -> None:
    """A mistyped `needs` would open an entrance to every token. These few are open, or to whoever has any."""
    routes = application(cast(Any, None), body_bytes_max=1, version="1").routes
    handlers = [
        (route.path, handler)
        for route in routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.http_methods != {"OPTIONS"}  # The framework's own, which says the methods alone.
    ]
    without = {path for path, handler in handlers if not isinstance(handler.opt.get("needs"), Needs)}
    assert len(handlers) > 40
    described = {"/", "/openapi.json", "/{path:str}"}
    assert without == {"/healthz", "/readyz", "/webhooks/{account:str}"} | described


@pytest.mark.parametrize("who", ["reader", ""])
async def test_no_answer_is_kept_by_a_cache_or_taken_for_a_page(running: Running, who: str) -> None:
    """A browser would show on a shared desk what was erased since, or after the token was revoked."""
    async with running.http(who) as http:
        for path in ("/v1/conversations", "/v1/nothing", "/healthz"):
            answered = (await http.get(path)).headers
            assert (answered["cache-control"], answered["x-content-type-options"]) == ("no-store", "nosniff"), path


async def test_what_is_not_there_has_the_shape_of_every_error(running: Running) -> None:
    """404 and 405 too."""
    async with running.http("operator") as http:
        for path in ("/v1/nothing", "/v1", "/nothing", "/metrics%00", "/favicon.ico"):
            missing = await http.get(path)
            assert (missing.status_code, missing.json()["code"]) == (404, Code.NOT_FOUND), path
        method = await http.delete("/v1/events")
    assert method.status_code == 405
    assert set(missing.json()) == set(method.json()) == {"code", "message", "ref", "field"}


async def test_who_leaves_before_the_end_of_a_body_is_no_bug(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger can, at the entrance for webhooks, as often as they like: it is counted, and not logged."""
    _, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    writer.write(b"POST /webhooks/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nBody=")
    await writer.drain()
    writer.close()
    await until(lambda: running.metric("throughline_refusals_total", code="malformed", entrance="webhook") == 1)
    assert "gateway.failed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "bug", [ValueError("the customer's words"), UnicodeDecodeError("utf-8", b"words", 0, 1, "words")]
)
async def test_a_bug_gives_a_reference_and_no_words(
    running: Running, capsys: pytest.CaptureFixture[str], bug: Exception
) -> None:
    """The log finds it by the reference. Text of ours that cannot be decoded is one, too: a read brings none."""
    running.archive.fail = bug
    async with running.http("operator") as http:
        response = await http.get("/v1/conversations")
    error = response.json()
    assert (response.status_code, error["code"]) == (500, Code.INTERNAL)
    assert "words" not in response.text
    log = capsys.readouterr().out
    assert error["ref"] in log
    assert "words" not in log


# Reads


async def test_context_is_found_by_any_spelling_of_an_identity(running: Running) -> None:
    """An IVR asks with the number as the network gives it."""
    running.identities.customers["tel:+447700900123"] = "cu1"
    running.cells.customers["cu1"] = CustomerView(customer="cu1", identities=["tel:+447700900123"])
    async with running.http("reader") as http:
        for spelling in ("tel:+447700900123", "tel:07700 900123"):
            response = await http.get("/v1/context", params={"identity": spelling})
            assert response.json() == {"customer": "cu1", "identities": ["tel:+447700900123"]}
        unknown = await http.get("/v1/context", params={"identity": "tel:+447700900124"})
        bad = await http.get("/v1/context", params={"identity": "carrier pigeon"})
        none = await http.get("/v1/context")
    assert (unknown.status_code, unknown.json()["code"]) == (404, Code.NOT_FOUND)
    assert (bad.status_code, bad.json()["code"], bad.json()["field"]) == (422, Code.BAD_IDENTITY, "identity")
    assert (none.status_code, none.json()["field"]) == (422, "identity")
    assert "missing" in none.json()["message"]


@pytest.mark.parametrize(
    ("had", "written"),
    [
        ('mailto:"ann"@example.org', "mailto:ann@example.org"),
        ('mailto:"ann"@example.org', 'mailto:"ann"@example.org'),
        ("mailto:ann@example.org.", "mailto:Ann@example.org"),
        ("x:Ann", "x:@Ann"),
        ("mailto:a b@example.org", "mailto:a b@example.org"),
        ("pigeon:Coo", "Pigeon:Coo"),
    ],
)
async def test_context_is_found_by_a_former_spelling(running: Running, had: str, written: str) -> None:
    """Of an earlier program, or of a channel that is gone; who has the address as it is spelled now comes first."""
    running.identities.customers[had] = "cu1"
    running.cells.customers |= {"cu1": CustomerView(customer="cu1"), "cu2": CustomerView(customer="cu2")}
    async with running.http("reader") as http:
        response = await http.get("/v1/context", params={"identity": written})
        assert response.json() == {"customer": "cu1"}
        running.identities.customers |= {"mailto:ann@example.org": "cu2", "x:ann": "cu2"}
        now = await http.get("/v1/context", params={"identity": written})
    assert now.json() == {"customer": "cu1" if had.startswith(("pigeon:", "mailto:a b")) else "cu2"}


async def test_context_is_found_by_the_same_address_under_another_kind(running: Running) -> None:
    """Before they first wrote from it; who has the identity itself comes first."""
    running.intake.alike["whatsapp:+447700900123"] = ["tel:+447700900123"]
    running.identities.customers["tel:+447700900123"] = "cu1"
    running.cells.customers |= {"cu1": CustomerView(customer="cu1"), "cu2": CustomerView(customer="cu2")}
    async with running.http("reader") as http:
        for customer in ("cu1", "cu2"):
            response = await http.get("/v1/context", params={"identity": "whatsapp:+447700900123"})
            assert response.json() == {"customer": customer}
            running.identities.customers["whatsapp:+447700900123"] = "cu2"
        other = await http.get("/v1/context", params={"identity": "whatsapp:+447700900124"})
    assert other.status_code == 404


async def test_context_is_found_by_memory_only_while_the_customer_has_the_identity(running: Running) -> None:
    """Whose it was when an event last came is asked first; where that one has it no more, the journal's file is."""
    phone = "tel:+447700900123"
    running.intake.remembered[phone] = "cu1"
    running.cells.customers["cu1"] = CustomerView(customer="cu1", identities=[phone])
    async with running.http("reader") as http:
        remembered = await http.get("/v1/context", params={"identity": phone})
        running.cells.customers |= {
            "cu1": CustomerView(customer="cu1", identities=["user:1"]),
            "cu2": CustomerView(customer="cu2", identities=[phone]),
        }
        nobodys = await http.get("/v1/context", params={"identity": phone})
        running.identities.customers[phone] = "cu2"
        another = await http.get("/v1/context", params={"identity": phone})
    assert remembered.json()["customer"] == "cu1"
    assert nobodys.status_code == 404
    assert another.json()["customer"] == "cu2"


async def test_context_is_asked_for_a_channel(running: Running) -> None:
    """The cell leaves out what that channel may not carry; a word that is none is refused."""
    running.identities.customers["tel:+447700900123"] = "cu1"
    running.cells.customers["cu1"] = CustomerView(customer="cu1", suggested_greeting="Hello, how can we help?")
    async with running.http("reader") as http:
        asked = await http.get("/v1/context", params={"identity": "tel:+447700900123", "channel": "phone"})
        bad = await http.get("/v1/context", params={"identity": "tel:+447700900123", "channel": "x" * 65})
    assert asked.json()["suggested_greeting"] == "Hello, how can we help?"
    assert [read.channel for read in running.cells.reads] == ["phone"]
    assert (bad.status_code, bad.json()["field"]) == (422, "channel")


async def test_a_plus_that_arrives_as_a_space_is_a_plus(running: Running) -> None:
    """`?identity=tel:+44…` typed into a shell means a number of another country all the same."""
    running.identities.customers["tel:+33612345678"] = "cu1"
    running.cells.customers["cu1"] = CustomerView(customer="cu1")
    async with running.http("reader") as http:
        assert (await http.get("/v1/context?identity=tel:+33612345678")).json() == {"customer": "cu1"}
        assert (await http.get("/v1/context?identity=tel:%2B33612345678")).json() == {"customer": "cu1"}


@pytest.mark.parametrize(
    ("path", "field", "said"),
    [
        ("/v1/conversations?status=opne", "status", "open, snoozed, resolved, closed"),
        ("/v1/conversations?queue=bills", "queue", "at_least, before, customer, limit, list, status"),
        ("/v1/conversations/cu1-1?conversation=cu2-1", "conversation", "after, at_least, limit"),
        ("/v1/status?x=1", "x", "none"),
    ],
)
async def test_a_parameter_that_means_nothing_is_refused(running: Running, path: str, field: str, said: str) -> None:
    """It would else be a filter that filters nothing, and nobody told."""
    async with running.http("reader") as http:
        response = await http.get(path)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert response.json()["message"].endswith(said)


async def test_probes_and_scrapes_may_add_parameters(running: Running) -> None:
    """A load balancer or Prometheus does."""
    async with running.http("scraper") as http:
        assert (await http.get("/healthz?n=1")).status_code == 200
        assert (await http.get("/metrics?n=1")).status_code == 200


async def test_conversations_come_in_pages(running: Running) -> None:
    """`next` is where the following page begins."""
    rows = [ConversationSummary(conversation=f"cu1-{n}", customer="cu1", head=n, updated_at_ms=n) for n in (3, 2, 1)]
    running.archive.rows, running.archive.at = rows, 9
    async with running.http("reader") as http:
        page = (await http.get("/v1/conversations", params={"limit": 2, "list": "queue:bills"})).json()
        assert (page["position"], len(page["conversations"]), page["next"]) == (9, 2, "2,cu1-2")
        last = (await http.get("/v1/conversations", params={"before": page["next"]})).json()
        assert last["next"] == ""
        for bad in ({"before": "x"}, {"limit": 0}, {"limit": "many"}, {"at_least": -1}):
            assert (await http.get("/v1/conversations", params=bad)).json()["code"] == Code.INVALID
    assert running.archive.wanted[0]["list"] == "queue:bills"
    assert running.archive.wanted[1]["before"] == (2, "cu1-2")


async def test_a_conversation_comes_with_its_events(running: Running) -> None:
    """A page of them, in order."""
    running.archive.by_id["cu1-1"] = {"conversation": "cu1-1", "status": "open"}
    body = b'{"type":"NoteAdded","at_ms":1,"text":"hello"}'
    running.archive.events["cu1-1"] = [StoredEvent(n, "cu1-1", n, body) for n in (1, 2, 3)]
    async with running.http("agent") as http:
        answer = (await http.get("/v1/conversations/cu1-1", params={"after": 1, "limit": 1})).json()
        missing = await http.get("/v1/conversations/cu1-9")
    assert (answer["status"], answer["next_after"]) == ("open", 2)
    assert answer["events"] == [{"seq": 2, "type": "NoteAdded", "at_ms": 1, "text": "hello"}]
    assert missing.status_code == 404


async def test_a_conversations_handoffs_are_read(running: Running) -> None:
    """All of them with the position; 404 where there is no such conversation."""
    running.archive.at = 7
    running.archive.by_id["cu1-1"] = {"conversation": "cu1-1"}
    running.archive.handoff_rows["cu1-1"] = [{"lease": 1, "state": "accepted"}]
    async with running.http("reader") as http:
        answer = await http.get("/v1/conversations/cu1-1/handoffs", params={"at_least": 7})
        assert answer.json() == {"position": 7, "handoffs": [{"lease": 1, "state": "accepted"}]}
        assert (await http.get("/v1/conversations/cu9-1/handoffs")).status_code == 404
    async with running.http("chat") as http:
        assert (await http.get("/v1/conversations/cu1-1/handoffs")).status_code == 403


async def test_a_page_that_is_full_says_where_it_goes_on(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it has, also where that are fewer than were asked for."""
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 1)
    body = msgspec.json.encode({"type": "NoteAdded", "at_ms": 1, "actor": "agent:bo", "text": "long"})
    running.archive.by_id["cu1-1"] = {"conversation": "cu1-1"}
    running.archive.events["cu1-1"] = [StoredEvent(n, "cu1-1", n, body) for n in (1, 2)]
    said = {"conversation": "cu1-1", "position": 11, "seq": 1, "text": "hello"}
    running.archive.said["cu1-1", 1] = [said, said]
    async with running.http("reader") as http:
        whole = (await http.get("/v1/conversations/cu1-1")).json()
        assert ([event["seq"] for event in whole["events"]], whole["next_after"]) == ([1], 1)
        last = (await http.get("/v1/conversations/cu1-1", params={"after": 2})).json()
        assert (last["events"], last["next_after"]) == ([], 0)
        messages = (await http.get("/v1/conversations/cu1-1/interactions/1/messages")).json()
        assert (messages["messages"], messages["next"]) == ([said], "11,1,cu1-1")


async def test_messages_come_a_page_at_a_time(running: Running) -> None:
    """Whoever writes without end into one contact makes nobody's answer as long."""
    path = "/v1/conversations/cu1-1/interactions/2/messages"
    said = [{"conversation": "cu1-1", "position": 10 + n, "seq": n, "text": "hello"} for n in (1, 2)]
    running.archive.said["cu1-1", 2] = said
    async with running.http("reader") as http:
        whole = (await http.get(path)).json()
        assert (whole["messages"], whole["next"]) == (said, "")
        page = (await http.get(path, params={"limit": 1})).json()
        assert (page["messages"], page["next"]) == (said[:1], "11,1,cu1-1")
        await http.get(path, params={"after": page["next"]})
        assert running.archive.wanted[-1] == {"limit": 1000, "after": (11, 1, "cu1-1")}
        odd = await http.get(path, params={"after": "11,cu1-1"})
        assert (odd.status_code, odd.json()["field"]) == (422, "after")


async def test_a_journey_comes_a_page_at_a_time(running: Running) -> None:
    """`next` is the following page's `after`."""
    rows = [{"conversation": f"cu1-{n}", "opened_at_ms": 10 + n} for n in (1, 2)]
    running.archive.journeys["cu1"] = {"customer": "cu1", "conversations": rows}
    async with running.http("reader") as http:
        whole = (await http.get("/v1/customers/cu1/journey")).json()
        assert (whole["conversations"], whole["next"]) == (rows, "")
        page = (await http.get("/v1/customers/cu1/journey", params={"limit": 1})).json()
        assert (page["conversations"], page["next"]) == (rows[:1], "11,cu1-1")
        await http.get("/v1/customers/cu1/journey", params={"after": page["next"]})
        assert running.archive.wanted[-1] == {"limit": 1000, "after": (11, "cu1-1")}
        odd = await http.get("/v1/customers/cu1/journey", params={"after": "cu1-1"})
        assert (odd.status_code, odd.json()["field"]) == (422, "after")


async def test_a_read_waits_for_the_write_it_must_see(running: Running) -> None:
    """`at_least` is the position that the write's answer gave."""
    running.archive.journeys["cu1"] = {"customer": "cu1", "conversations": []}
    async with running.http("operator") as http:
        reading = asyncio.create_task(http.get("/v1/customers/cu1/journey", params={"at_least": 5}))
        await running.archive.asked.wait()
        running.archive.at = 5
        assert (await reading).json()["position"] == 5
        assert (await http.get("/v1/customers/cu2/journey")).status_code == 404


async def test_a_read_does_not_wait_for_ever(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how far the archive is."""
    monkeypatch.setattr("orchestrator.gateway.reads.reads.AT_LEAST_WITHIN_S", 0.01)
    async with running.http("operator") as http:
        response = await http.get("/v1/conversations", params={"at_least": 5})
    assert (response.status_code, response.json()["code"]) == (503, Code.POSITION_NOT_REACHED)


# Operations


async def test_commands_carry_an_id_and_an_actor(running: Running) -> None:
    """The header's or the body's; without either the server makes one."""
    command = {"command": {"do": "link_identity", "identity": "user:1"}}
    async with running.http("operator") as http:
        first = await http.post("/v1/customers/cu1/commands", json=command, headers={"Idempotency-Key": "h"})
        second = await http.post("/v1/customers/cu1/commands", json={**command, "id": "b"})
        third = await http.post("/v1/customers/cu1/commands", json=command)
    assert [first.json()["id"], second.json()["id"]] == ["h", "b"]
    assert third.json() == {"id": third.json()["id"], "status": "committed", "stream": "cu1", "seq": 7, "position": 42}
    assert running.intake.commands[0] == ("operator:operator", "h", LinkIdentity(identity="user:1"), "", "cu1")


async def test_a_command_has_one_id(running: Running) -> None:
    """Whoever sends two repeats under one of them, and would find the other without effect."""
    command = {"command": {"do": "take"}, "id": "b"}
    async with running.http("operator") as http:
        two = await http.post("/v1/conversations/cu1-1/commands", json=command, headers={"Idempotency-Key": "h"})
        same = await http.post("/v1/conversations/cu1-1/commands", json=command, headers={"Idempotency-Key": "b"})
    assert (two.status_code, two.json()["code"], two.json()["field"]) == (422, Code.INVALID, "id")
    assert two.json()["message"] == "the header Idempotency-Key says 'h' and the body's id 'b': send one, or the same"
    assert (same.status_code, same.json()["id"]) == (200, "b")
    assert [id for _, id, *_ in running.intake.commands] == ["b"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, Code.INVALID, ""),
        ({"command": {"do": "fly"}}, Code.UNKNOWN_TYPE, "command.do"),
        ({"command": {"do": "note", "text": 1}}, Code.INVALID, "command.text"),
        ({"command": {"do": "mark_replayed", "quarantine": "q"}}, Code.INVALID, "do"),
        ({"command": {"do": "take"}, "id": "x" * 600}, Code.INVALID, "id"),
        ([], Code.INVALID, ""),
        (b"\xff", Code.INVALID, ""),
        (b'{"command": {"do": "note", "text": "Gr\xfc\xdfe"}}', Code.MALFORMED, ""),
        (b"[" * 50_000, Code.TOO_LARGE, ""),
    ],
)
async def test_a_bad_command_is_refused(running: Running, body: Any, code: Code, field: str) -> None:
    """Before the intake sees it, naming the field."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with running.http("agent") as http:
        response = await http.post(
            "/v1/conversations/cu1-1/commands", content=content, headers={"Content-Type": "application/json"}
        )
    error = response.json()
    assert (error["code"], error["field"]) == (code, field)
    assert set(error) == {"code", "message", "ref", "field"}
    assert running.intake.commands == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body: it is empty; /openapi.json has what is wanted"),
        (b"{}", "the body: Object missing required field `command`"),
        (b"[]", "the body: Expected `object`, got `array`"),
    ],
)
async def test_a_body_that_does_not_fit_as_a_whole_is_called_the_body(running: Running, body: bytes, said: str) -> None:
    """And not what a handler calls it, which nobody sent."""
    async with running.http("agent") as http:
        answer = await http.post(
            "/v1/customers/cu1/commands", content=body, headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["message"]) == (422, said)


def quarantined(raw: bytes, *, code: Code = Code.INVALID, **fields: Any) -> dict[str, Any]:
    """A quarantined row."""
    return {
        "quarantine": "q1",
        "stream": "account:chat",
        "account": "chat",
        "source": "test",
        "id": "m-1",
        "code": int(code),
        "raw": raw,
        "received_ms": 77,
        "replayed_at_ms": None,
        **fields,
    }


async def test_identity_reviews_are_read_a_page_at_a_time(running: Running) -> None:
    """`next` brings back the last row's place, whatever its identity has in it; anything else is refused."""
    row = {"found_at_ms": 7, "customer": "cu1", "identity": "tel:+447700900123", "other": "", "kind": "weak"}
    running.archive.reviews = [row]
    async with running.http("agent") as http:
        page = (await http.get("/v1/identity/reviews", params={"limit": 1, "shared_after": 2})).json()
        assert page["reviews"] == [row]
        await http.get("/v1/identity/reviews", params={"before": page["next"]})
        refused = await http.get("/v1/identity/reviews", params={"before": "cu1"})
    assert running.archive.wanted == [
        {"shared_after": 2, "limit": 1, "before": None},
        {"shared_after": 3, "limit": 100, "before": (7, "cu1", "tel:+447700900123", "")},
    ]
    assert (refused.status_code, refused.json()["field"]) == (422, "before")


async def test_quarantine_is_listed_shown_and_replayed_once(running: Running) -> None:
    """A replay goes through the same checks, and is marked."""
    raw = json.dumps(event()).encode()
    running.archive.quarantines["q1"] = quarantined(raw)
    async with running.http("operator") as http:
        assert [row["quarantine"] for row in (await http.get("/v1/quarantine")).json()] == ["q1"]
        shown = (await http.get("/v1/quarantine/q1")).json()
        assert (base64.b64decode(shown["raw"]), shown["text"]) == (raw, raw.decode())
        replayed = await http.post("/v1/quarantine/q1/replay", json={})
        assert (replayed.status_code, replayed.json()["status"]) == (200, "committed")
        running.archive.quarantines["q1"]["replayed_at_ms"] = 5
        again = await http.post("/v1/quarantine/q1/replay")
        assert (again.status_code, again.json()["code"]) == (409, Code.NOT_ALLOWED_NOW)
        assert (await http.get("/v1/quarantine/q2")).status_code == 404
    assert running.intake.taken[0].time_ms == NOW_MS
    begun, marked = running.intake.commands
    assert (begun[2], begun[4]) == (BeginReplay(quarantine="q1"), "account:chat")
    mark = MarkReplayed(quarantine="q1", stream="cu1-1", seq=1)
    assert marked == ("operator:operator", "replay:q1", mark, "", "account:chat")


async def test_a_replay_whose_time_was_the_fault_has_the_arrivals(running: Running) -> None:
    """Its sender's clock was wrong, and will not become right."""
    running.archive.quarantines["q1"] = quarantined(json.dumps(event()).encode(), code=Code.TIME_IMPLAUSIBLE)
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay")).status_code == 200
    assert running.intake.taken[0].time_ms == 77


async def test_a_server_written_event_is_replayed_too(running: Running) -> None:
    """What came by WebSocket is kept as the server writes events."""
    async with running.http("chat") as http:
        await http.post("/v1/events", json=event(), headers=STRUCTURED)
    running.archive.quarantines["q1"] = quarantined(msgspec.json.encode(running.intake.taken[0]))
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay")).status_code == 200
    assert running.intake.taken[1] == running.intake.taken[0]


async def test_a_replay_that_is_refused_again_says_why_and_ends(running: Running) -> None:
    """An event with the same id came before with another payload: no second copy of it is kept."""
    running.archive.quarantines["q1"] = quarantined(json.dumps(event()).encode())
    running.intake.refuse["m-1"] = Refusal(Code.DIGEST_CONFLICT, "came before", field="id")
    async with running.http("operator") as http:
        response = await http.post("/v1/quarantine/q1/replay")
    assert (response.status_code, response.json()["code"]) == (409, Code.DIGEST_CONFLICT)
    ended = EndReplay(quarantine="q1", code=Code.DIGEST_CONFLICT, reason="came before", field="id", form=0)
    assert [command for _, _, command, _, _ in running.intake.commands] == [BeginReplay(quarantine="q1"), ended]


async def test_a_replay_that_may_yet_come_in_stays_begun(running: Running) -> None:
    """What can succeed when asked again is not ended: the next replay goes on with the same form."""
    running.archive.quarantines["q1"] = quarantined(json.dumps(event()).encode())
    running.intake.refuse["m-1"] = Refusal(Code.TIMED_OUT, "no answer")
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay")).status_code == 504
        running.archive.quarantines["q1"]["replaying_at_ms"] = 5
        del running.intake.refuse["m-1"]
        assert (await http.post("/v1/quarantine/q1/replay")).status_code == 200
    assert [type(command) for _, _, command, _, _ in running.intake.commands] == [BeginReplay, MarkReplayed]
    assert running.intake.taken[0] == running.intake.taken[1]


async def test_an_edit_waits_for_what_was_begun_before_it(running: Running) -> None:
    """The form a replay began with may be in already, under another identity: it is sent first, and nothing twice."""
    row = quarantined(json.dumps(event()).encode(), replaying_at_ms=5)
    running.archive.quarantines["q1"] = row
    async with running.http("operator") as http:
        answer = await http.post("/v1/quarantine/q1/replay", json={"identities": ["user:9"]})
    assert (answer.status_code, answer.json()["code"]) == (409, Code.NOT_ALLOWED_NOW)
    assert "cu1-1" in answer.json()["message"]
    assert [taken.identities for taken in running.intake.taken] == [["user:1"]]


async def test_an_edit_goes_on_where_what_was_begun_is_refused(running: Running) -> None:
    """The first form is ended, the second begun."""
    kept = event() | {"identities": ""}
    running.archive.quarantines["q1"] = quarantined(json.dumps(kept).encode(), replaying_at_ms=5)
    running.intake.refuse["m-1"] = Refusal(Code.NO_IDENTITY, "nobody")
    async with running.http("operator") as http:
        answer = await http.post("/v1/quarantine/q1/replay", json={"identities": ["user:9"]})
    # The fake refuses by the event's id, and so both.
    assert answer.json()["code"] == Code.NO_IDENTITY
    first, begun, second = (command for _, _, command, _, _ in running.intake.commands)
    assert isinstance(first, EndReplay)
    assert isinstance(begun, BeginReplay)
    assert isinstance(second, EndReplay)
    assert (first.form, second.form) == (0, form_of(begun.raw))
    assert [taken.identities for taken in running.intake.taken] == [[], ["user:9"]]


@pytest.mark.parametrize(
    ("body", "identities", "said_by"),
    [
        ({"identities": ["user:9", "tel:+447700900123"]}, ["user:9", "tel:+447700900123"], "operator:operator"),
        ({"customer": "cu5"}, ["chat:5"], "operator:operator"),
        ({"customer": "tel:07700 900123"}, ["tel:+447700900123"], "operator:operator"),
        ({"customer": 'mailto:"e"@example.org'}, ["chat:5"], "operator:operator"),
        ({"event": event() | {"data": {"text": "mended"}}}, ["user:1"], ""),
        ({"event": event() | {"identities": "user:8"}}, ["user:8"], "operator:operator"),
        ({}, ["user:1"], ""),
    ],
    ids=["identities", "customer", "address", "former spelling", "words", "event", "nothing"],
)
async def test_an_edit_says_whose_it_is_and_who_says_so(
    running: Running, body: dict[str, Any], identities: list[str], said_by: str
) -> None:
    """Identities that an operator gave are vouched for by the operator, others by the channel."""
    running.archive.quarantines["q1"] = quarantined(json.dumps(event()).encode())
    running.archive.journeys["cu5"] = {"identities": [{"identity": "mailto:e@example.org"}, {"identity": "chat:5"}]}
    running.identities.customers |= {"tel:+447700900123": "cu5", 'mailto:"e"@example.org': "cu5"}
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay", json=body)).status_code == 200
    assert [taken.identities for taken in running.intake.taken] == [identities]
    assert running.intake.replays == [Replay("q1", 77, said_by)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"identities": ["user:9"], "customer": "cu5"}, "customer"),
        ({"customer": "cu404"}, "customer"),
        ({"customer": "tel:+447700900999"}, "customer"),
        ({"customer": "account:chat"}, "customer"),
        ({"events": {}}, ""),
        ({"event": {"a": 1}}, ""),
    ],
)
async def test_an_edit_that_says_nothing_changes_nothing(running: Running, body: dict[str, Any], field: str) -> None:
    """It is refused before anything is begun."""
    running.archive.quarantines["q1"] = quarantined(json.dumps(event()).encode())
    async with running.http("operator") as http:
        answer = await http.post("/v1/quarantine/q1/replay", json=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["field"] == field
    assert (running.intake.taken, running.intake.commands) == ([], [])


async def test_quarantine_is_filtered(running: Running) -> None:
    """By account, code, field, rule, age, and whether it waits still."""
    query = "account=chat&code=4200&field=contract&rule=capture:chat&since_ms=5&until_ms=9&waiting=true"
    async with running.http("operator") as http:
        assert (await http.get(f"/v1/quarantine?{query}")).status_code == 200
        assert (await http.get("/v1/quarantine?code=no")).status_code == 422
    wanted = running.archive.wanted[0]
    assert (wanted["account"], wanted["code"], wanted["field"]) == ("chat", 4200, "contract")
    assert (wanted["rule"], wanted["since_ms"], wanted["until_ms"]) == ("capture:chat", 5, 9)
    assert wanted["waiting"] is True


async def test_a_replay_is_of_the_account_it_came_by(running: Running) -> None:
    """Whatever the kept event says of itself."""
    async with running.http("chat") as http:
        await http.post("/v1/events", json=event(), headers=STRUCTURED)
    forged = msgspec.structs.replace(running.intake.taken.pop(), account="sms")
    running.archive.quarantines["q1"] = quarantined(msgspec.json.encode(forged))
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay")).json()["code"] == Code.NOT_ALLOWED_NOW
    assert running.intake.taken == []


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"From: ann\r\n\r\nhello", b'{"specversion":"1.0"}', b'{"a":1}', b"[]"])
async def test_a_replay_that_still_does_not_fit_changes_nothing(running: Running, raw: bytes) -> None:
    """The reason comes back."""
    running.archive.quarantines["q1"] = quarantined(raw)
    async with running.http("operator") as http:
        response = await http.post("/v1/quarantine/q1/replay")
    assert 400 <= response.status_code < 500
    assert (running.intake.taken, running.intake.commands) == ([], [])


async def test_what_was_erased_does_not_come_in(running: Running) -> None:
    """Nor does anything in its place, where a replay had begun or not."""
    for begun in (None, 5):
        running.archive.quarantines["q1"] = {**quarantined(b""), "replaying_at_ms": begun}
        async with running.http("operator") as http:
            body = {"event": {"id": "7", "account": "sms", "data": {"type": "message", "text": "hi"}}}
            for asked in ({}, body):
                response = await http.post("/v1/quarantine/q1/replay", json=asked)
                assert (response.status_code, "was erased" in response.json()["message"]) == (409, True)
    assert (running.intake.taken, running.intake.commands) == ([], [])


async def test_the_outbox_is_listed_and_replayed(running: Running) -> None:
    """By state; a replay is a command of the delivery's conversation."""
    running.archive.outbox_rows = [{"delivery": "cu1-1.5", "state": "dead"}, {"delivery": "cu1-1.6", "state": "queued"}]
    async with running.http("operator") as http:
        assert len((await http.get("/v1/outbox")).json()) == 2
        assert len((await http.get("/v1/outbox", params={"states": "dead,uncertain"})).json()) == 1
        assert (await http.get("/v1/outbox", params={"states": "lost"})).json()["field"] == "states"
        await http.post("/v1/outbox/cu1-1.5/replay", headers={"Idempotency-Key": "k"})
        assert (await http.post("/v1/outbox/nothing/replay")).status_code == 404
        of_settled = {"Idempotency-Key": "s"}
        await http.post("/v1/outbox/cu1-1.6/settle", json={"external_id": "SM1"}, headers=of_settled)
        await http.post("/v1/outbox/cu1-1.7/settle", json={"left": False}, headers={"Idempotency-Key": "n"})
    operator, conversation = "operator:operator", "cu1-1"
    assert running.intake.commands == [
        (operator, "k", ReplayDelivery(delivery="cu1-1.5"), conversation, ""),
        (operator, "s", SettleDelivery(delivery="cu1-1.6", external_id="SM1"), conversation, ""),
        (operator, "n", SettleDelivery(delivery="cu1-1.7", left=False), conversation, ""),
    ]


# Webhooks


def sms(**fields: str) -> dict[str, str]:
    """What Twilio posts."""
    form = {"MessageSid": "SM1", "AccountSid": "AC1", "From": "+447700900123", "To": "+447700900000", "Body": "hi"}
    return {**form, **fields}


async def webhook(running: Running, form: dict[str, str], path: str = "/webhooks/sms", *, signed: bool = True) -> Any:
    """Posts as Twilio would."""
    signature = sign("12345", running.url + path, list(form.items())) if signed else "AAAA"
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    async with running.http() as http:
        return await http.post(path, content=urlencode(form), headers=headers)


async def test_an_sms_answers_twiml_after_its_commit(running: Running) -> None:
    """It needs no token: it is signed."""
    response = await webhook(running, sms())
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/xml")
    assert b"<Response/>" in response.content
    assert running.intake.taken[0].identities == ["tel:+447700900123"]


async def test_a_status_callback_reports_on_a_delivery(running: Running) -> None:
    """The delivery's id is in the URL, and what tells its words."""
    form = sms(MessageStatus="delivered", To="+447700900123")
    assert (await webhook(running, form, "/webhooks/sms?delivery=cu1-1.5&digest=5f0c21d8")).status_code == 200
    data = running.intake.taken[0].data
    assert isinstance(data, DeliveryReport)
    assert (data.delivery, data.status, data.digest) == ("cu1-1.5", "delivered", "5f0c21d8")


async def test_a_wrong_signature_is_refused_and_counted(running: Running) -> None:
    """Nothing is taken."""
    response = await webhook(running, sms(), signed=False)
    assert (response.status_code, response.json()["code"]) == (403, Code.BAD_SIGNATURE)
    assert running.metric("throughline_refusals_total", code="bad_signature", entrance="webhook") == 1
    assert running.intake.taken == []


async def test_of_a_strangers_webhook_no_more_is_read_than_a_vendors_has(running: Running) -> None:
    """Announced or not, and before any signature can be checked: the rest is not waited for."""
    chunk = f"{2 * FORM_BYTES_MAX:x}\r\n".encode() + b"x" * 2 * FORM_BYTES_MAX
    for framing in (b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n" + chunk):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
        writer.write(b"POST /webhooks/sms HTTP/1.1\r\nHost: x\r\n" + framing)
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.readuntil(b"}")
        writer.close()
        assert answer.startswith(b"HTTP/1.1 413")
        assert f"{FORM_BYTES_MAX} bytes; a webhook's".encode() in answer


@pytest.mark.parametrize("host", ["[", "x:abc", "[::1]:99999999"])
async def test_a_webhook_for_no_host_is_refused(running: Running, host: str) -> None:
    """Whoever sends it: it is no failure of the server's."""
    async with running.http() as http:
        response = await http.post("/webhooks/sms", content=b"", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (400, Code.MALFORMED)


@pytest.mark.parametrize("path", ["/webhooks/none", "/webhooks/chat"])
async def test_only_accounts_with_webhooks_have_them(running: Running, path: str) -> None:
    """A name that is none, and one of another kind."""
    assert (await webhook(running, sms(), path)).status_code == 404


async def test_a_genuine_message_that_does_not_fit_is_kept_and_can_be_replayed(running: Running) -> None:
    """Twilio would not call again, so it hears yes."""
    response = await webhook(running, sms(From="12345"))
    assert response.status_code == 200
    ((account, source, id, refusal, raw),) = running.intake.quarantined
    assert (account, source, id, refusal.code) == ("sms", "twilio:AC1", "SM1", Code.BAD_IDENTITY)
    form = sms(From="+447700900124")
    mended = json.dumps({"webhook": {"query": "", "body": base64.b64encode(urlencode(form).encode()).decode()}})
    running.archive.quarantines["q1"] = quarantined(mended.encode(), account="sms")
    running.archive.quarantines["q2"] = quarantined(raw, account="sms")
    status = urlencode(sms(MessageStatus="delivered", To="+447700900123")).encode()
    called = {"query": "delivery=cu1-1.5&digest=5f0c21d8", "body": base64.b64encode(status).decode()}
    running.archive.quarantines["q3"] = quarantined(json.dumps({"webhook": called}).encode(), account="sms")
    async with running.http("operator") as http:
        assert (await http.post("/v1/quarantine/q1/replay")).status_code == 200
        assert (await http.post("/v1/quarantine/q2/replay")).json()["code"] == Code.BAD_IDENTITY
        assert (await http.post("/v1/quarantine/q3/replay")).status_code == 200
    text, report = running.intake.taken
    assert text.identities == ["tel:+447700900124"]
    assert isinstance(report.data, DeliveryReport)
    assert (report.data.delivery, report.data.digest) == ("cu1-1.5", "5f0c21d8")


# Health


async def test_health_is_open_and_says_little(running: Running) -> None:
    """Nothing about others."""
    async with running.http() as http:
        assert (await http.get("/healthz")).json() == {"status": "up"}
        ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


async def test_not_ready_says_why_to_those_who_may_know(start: Start) -> None:
    """A cell, the archive's lag, the archive itself."""
    running = await start(limits=Limits(archive_lag_max=10))
    running.cells.closed_cells.add(1)
    running.identities.at = 100
    async with running.http() as http:
        bare = await http.get("/readyz")
    async with running.http("scraper") as http:
        full = await http.get("/readyz")
    assert (bare.status_code, bare.json()["reasons"]) == (503, [])
    assert full.json()["reasons"] == [
        "cell 1 cannot be reached",
        "the archive is 100 commits behind; limits.archive_lag_max is 10",
    ]
    running.archive.fail = OSError("gone")
    async with running.http("operator") as http:
        assert "the archive cannot be read" in (await http.get("/readyz")).json()["reasons"]


async def test_metrics_are_prometheus_text(running: Running) -> None:
    """Of this gateway alone: another one in the process has its own."""
    running.identities.at, running.archive.at = 9, 7
    running.archive.outbox_rows = [{"delivery": "cu1-1.5", "state": "dead"}]
    await post(running, event(), **STRUCTURED)
    async with running.agent(), running.http("scraper") as http:
        scraped = await http.get("/metrics")
    # Strict parsers of media types refuse a parameter that stands there twice.
    assert scraped.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = scraped.text
    for line in (
        'throughline_events_total{account="chat",status="committed"} 1.0',
        'throughline_connections{kind="agent"} 1.0',
        "throughline_archive_position 7.0",
        "throughline_journal_position 9.0",
        "throughline_ack_seconds_count 1.0",
        'throughline_outbox{state="dead"} 1.0',
        'throughline_outbox{state="uncertain"} 0.0',
        "throughline_queue_overflows_total 0.0",
    ):
        assert line in text.splitlines()
    assert "_created" not in text


async def test_status_is_for_the_command_line(running: Running) -> None:
    """Parts and figures."""
    async with running.client(), running.http("operator") as http:
        status = (await http.get("/v1/status")).json()
    assert (status["ready"], status["generation"], status["cells_open"]) == (True, "g1", 2)
    assert status["connections"] == {"agent": 0, "gateway": 1}
    assert [tuple(account.values()) for account in status["accounts"]] == [
        ("chat", "gateway", ""),
        ("mail", "email", "support@throughline.example"),
        ("sms", "twilio", "+447700900000"),
    ]
    assert status == {**await running.gateway.status(), "connections": status["connections"]}


HUGE = 10**20


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/conversations?list=service", "list"),
        ("/v1/conversations?list=queue:", "list"),
        ("/v1/conversations?list=team:x", "list"),
        (f"/v1/conversations?at_least={HUGE}", "at_least"),
        (f"/v1/conversations/cu1-1?after={HUGE}", "after"),
        (f"/v1/identity/reviews?shared_after={HUGE}", "shared_after"),
        (f"/v1/quarantine?code={HUGE}", "code"),
        (f"/v1/quarantine?since_ms={HUGE}", "since_ms"),
        (f"/v1/policy/versions?before={HUGE}", "before"),
        ("/v1/customers/cu1/timeline?from_ms=10&until_ms=9", "until_ms"),
        ("/v1/reports/context-loss?from_ms=10&until_ms=9", "until_ms"),
        ("/v1/quarantine?since_ms=10&until_ms=9", "until_ms"),
    ],
)
async def test_a_parameter_that_no_store_could_look_up_is_refused(running: Running, path: str, field: str) -> None:
    """The reader is at fault, and is told where; it is no failure of the server that is worth another attempt."""
    async with running.http("operator") as http:
        refused = await http.get(path)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, Code.INVALID, field)


async def test_openapi_describes_every_path(running: Running) -> None:
    """Generated from the handlers' types."""
    async with running.http("reader") as http:
        document = (await http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert {"/v1/events", "/v1/context", "/v1/conversations", "/webhooks/{account}", "/readyz"} <= set(
        document["paths"]
    )
    file = document["paths"]["/v1/attachments/{sha256}"]["get"]["responses"]["200"]
    assert set(file["content"]) == {"application/octet-stream"}
    posting = document["paths"]["/v1/events"]["post"]
    assert "application/cloudevents-batch+json" in posting["requestBody"]["content"]
    assert posting["description"].startswith("Takes CloudEvents")
    assert set(posting["responses"]) == {"200", "202", "207", "default"}


async def test_openapi_describes_what_is_answered(running: Running) -> None:
    """Clients are generated from it: the shape of a refusal, which paths want no token, unions."""
    async with running.http("reader") as http:
        document = (await http.get("/openapi.json")).json()
        refused = (await http.get("/v1/conversations", params={"limit": "many"})).json()
    schemas = document["components"]["schemas"]
    assert set(refused) == set(schemas["ErrorAnswer"]["properties"])
    for path, methods in document["paths"].items():
        for operation in methods.values():
            answer = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert answer == {"$ref": "#/components/schemas/ErrorAnswer"}
            assert "400" not in operation["responses"]
            open_ = path in ("/healthz", "/readyz", "/webhooks/{account}")
            assert operation.get("security", document["security"]) == ([] if open_ else [{"token": []}])
    assert "oneOf" not in json.dumps(document)
    assert {"type": "number"} in schemas["ContextItem"]["properties"]["value"]["anyOf"]


# Feed


def recorded(*texts: str) -> list[Record]:
    """A unit with a note for each text."""
    note = [msgspec.msgpack.encode(NoteAdded(at_ms=1, actor="agent:ann", text=text)) for text in texts]
    entries = [[Entry("cu1-1", n + 1, msgspec.Raw(one))] for n, one in enumerate(note)]
    return [Record(n + 1, "cu1", 1, [], 1, msgspec.msgpack.encode(entry)) for n, entry in enumerate(entries)]


async def test_the_feed_gives_committed_events_by_cursor(running: Running) -> None:
    """A page at a time, each event with its place."""
    running.feed.records = recorded("a", "b", "c")
    running.feed.at = 3
    async with running.http("reader") as http:
        first = (await http.get("/v1/feed", params={"limit": 2})).json()
        then = (await http.get("/v1/feed", params={"after": first["next"], "types": "NoteAdded"})).json()
    assert [event["event"]["text"] for event in first["events"]] == ["a", "b"]
    assert (first["more"], then["more"]) == (True, False)
    [event] = then["events"]
    assert (event["stream"], event["seq"], event["type"], event["cursor"]) == ("cu1-1", 3, "NoteAdded", "g1-3")


async def test_the_feed_waits_for_what_comes(running: Running) -> None:
    """The answer comes with the event, and without one after the time that was asked for."""
    async with running.http("reader") as http:
        empty = (await http.get("/v1/feed", params={"after": "now", "wait": 0.01})).json()
        assert (empty["events"], empty["more"]) == ([], False)
        waiting = asyncio.create_task(http.get("/v1/feed", params={"after": empty["next"], "wait": 30}))
        running.feed.records = recorded("late")
        [event] = (await waiting).json()["events"]
    assert event["event"]["text"] == "late"


async def test_what_the_feed_no_longer_has_is_said(running: Running) -> None:
    """With the cursor to go on from; and a type that does not exist is no filter."""
    running.feed.records = recorded("a", "b")[1:]
    running.feed.first, running.feed.at = 2, 2
    async with running.http("reader") as http:
        gone = await http.get("/v1/feed", params={"after": "g1-0"})
        kept = await http.get("/v1/feed", params={"after": gone.json()["ref"]})
        wrong = await http.get("/v1/feed", params={"types": "NoteAded"})
    assert (gone.status_code, gone.json()["code"]) == (410, Code.GONE)
    assert [event["event"]["text"] for event in kept.json()["events"]] == ["b"]
    assert (wrong.status_code, wrong.json()["field"]) == (422, "types")


# Timeline


async def test_a_timeline_is_filtered_and_paged(running: Running) -> None:
    """What is asked for reaches the archive, and the next page is named where there may be one."""
    entry = {"at_ms": 6, "happened_at_ms": 5, "position": 3, "n": 1, "event": {"type": "NoteAdded"}}
    running.archive.timelines["cu1"] = [entry]
    running.archive.at = 7
    query: dict[str, str | int] = {"channel": "sms", "types": "NoteAdded", "q": " bill ", "from_ms": 1, "until_ms": 9}
    query |= {"before": "8,4,0"}
    async with running.http("agent") as http:
        page = (await http.get("/v1/customers/cu1/timeline", params={**query, "limit": 1})).json()
        last = (await http.get("/v1/customers/cu1/timeline", params={"limit": 2})).json()
    assert page == {"position": 7, "searched": 7, "entries": [entry], "next": "5,3,1"}
    assert last["next"] == ""
    asked = running.archive.wanted[0]
    assert asked["before"] == (8, 4, 0)
    assert asked["wanted"] == EntriesWanted(channel="sms", types=["NoteAdded"], q="bill", from_ms=1, until_ms=9)


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [("types=Nothing", 422, "types"), ("before=1,2", 422, "before"), ("before=1,2,x", 422, "before"), ("", 404, "")],
)
async def test_a_timeline_that_cannot_be_shown(running: Running, query: str, status: int, field: str) -> None:
    """Says what is wrong."""
    running.archive.timelines["cu1"] = []
    customer = "cu1" if query else "cu2"
    async with running.http("reader") as http:
        answer = await http.get(f"/v1/customers/{customer}/timeline?{query}")
    assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_a_conversation_that_is_too_long_is_not_exported(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together with those that contacts of it came from: it would be held whole, several times over."""
    body = msgspec.json.encode({"type": "NoteAdded", "at_ms": 1, "actor": "agent:bo", "text": "long"})
    running.archive.by_id["cu1-1"] = {"conversation": "cu1-1", "moved": [{"origin": "cu1-2"}]}
    running.archive.events = {each: [StoredEvent(1, each, 1, body)] for each in ("cu1-1", "cu1-2")}
    monkeypatch.setattr(history, "EVENTS_BYTES_MAX", 2 * len(body) - 1)
    async with running.http("reader") as http:
        answer = await http.get("/v1/conversations/cu1-1/vcon")
    assert (answer.status_code, answer.json()["code"]) == (422, Code.OVER_LIMIT)
    assert "a page at a time" in answer.json()["message"]


async def test_a_conversation_is_exported_as_a_vcon(running: Running) -> None:
    """All its events, with the files that are there, and the words of a contact that came from another."""
    name = running.attachments.keep(b"%PDF")
    running.archive.by_id["cu1-1"] = {
        **dict.fromkeys(("status", "queue", "owner", "subject"), "x"),
        **dict.fromkeys(("opened_at_ms", "updated_at_ms", "resolved_at_ms", "closed_at_ms"), 1),
        "interactions": [
            {"interaction": number, "channel": "sms", "account": "sms", "identity": "tel:+1", "direction": "inbound"}
            | {"started_at_ms": 1, "ended_at_ms": None}
            for number in (1, 2)
        ],
        "relations": [],
        "moved": [{"origin": "cu8-3", "origin_interaction": 4, "interaction": 2}],
        "context": [],
        "context_values": [],
        "conversation": "cu1-1",
        "customer": "cu1",
    }
    files = [Attachment(name="a.pdf", sha256=name), Attachment(name="b.pdf", sha256="0" * 64)]
    said = MessageReceived(
        at_ms=1, interaction=1, channel="sms", identity="tel:+1", source="s", id="1", provider_ms=1, text="hi"
    )
    body = msgspec.json.encode(msgspec.structs.replace(said, attachments=files))
    running.archive.events["cu1-1"] = [StoredEvent(position=1, stream="cu1-1", seq=1, body=body)]
    there = msgspec.json.encode(msgspec.structs.replace(said, at_ms=2, interaction=4, text="there"))
    running.archive.events["cu8-3"] = [StoredEvent(position=2, stream="cu8-3", seq=9, body=there)]
    async with running.http("reader") as http:
        response = await http.get("/v1/conversations/cu1-1/vcon")
        assert (await http.get("/v1/conversations/cu9-1/vcon")).status_code == 404
    assert response.headers["content-type"] == "application/vcon"
    vcon = response.json()
    assert [said["body"] for said in vcon["dialog"]] == ["hi", "there"]
    assert [one.get("body") for one in vcon["attachments"]][:2] == ["JVBERg", None]


async def test_the_report_on_lost_context(running: Running) -> None:
    """Its rows as the archive counts them, at a position."""
    running.archive.lost = [{"measure": "quarantined", "count": 2}]
    running.archive.at = 9
    async with running.http("reader") as http:
        report = (await http.get("/v1/reports/context-loss", params={"from_ms": 1, "until_ms": 5})).json()
    assert report == {"position": 9, "rows": running.archive.lost, "retained": []}
    assert running.archive.wanted == [{"from_ms": 1, "until_ms": 5, "channel": "", "team": "", "product": ""}]


async def test_the_report_of_a_week_a_channel_and_a_team(running: Running) -> None:
    """A day names its week; a week and other bounds are not given together."""
    asked = {"week": "2026-11-25", "channel": "sms", "team": "bills", "product_line": "motor"}
    wrongs: list[dict[str, str | int]] = [{"week": "last"}, {"week": "2026-11-25", "from_ms": 1}]
    async with running.http("reader") as http:
        assert (await http.get("/v1/reports/context-loss", params=asked)).status_code == 200
        for wrong in wrongs:
            assert (await http.get("/v1/reports/context-loss", params=wrong)).status_code == 422
    monday_ms = 1_763_942_400_000 + 364 * 86_400_000
    assert running.archive.wanted == [
        {
            "from_ms": monday_ms,
            "until_ms": monday_ms + 7 * 86_400_000,
            "channel": "sms",
            "team": "bills",
            "product": "motor",
        }
    ]


async def test_what_retention_dropped_is_told_apart_from_what_never_was(running: Running) -> None:
    """410 with the day and the policy's version; 404 for what there never was."""
    gone = running.archive.gone
    gone[("quarantine", "mail.1")] = Dropped(1_764_000_000_000, 7)
    gone[("conversation", "cu1-1")] = Dropped(1_764_000_000_000, 7)
    running.archive.by_id["cu1-1"] = {"conversation": "cu1-1", "status": "closed"}
    async with running.http("operator") as http:
        answers = [await http.get(f"/v1/quarantine/{id}") for id in ("mail.1", "mail.2")]
        handoffs = await http.get("/v1/conversations/cu1-1/handoffs")
        vcon = await http.get("/v1/conversations/cu1-1/vcon")
        shown = await http.get("/v1/conversations/cu1-1")
    assert [answer.status_code for answer in answers] == [410, 404]
    assert "dropped by retention on 2025-11-24, policy version 7" in answers[0].text
    assert (handoffs.status_code, vcon.status_code) == (410, 410)
    assert shown.json()["dropped"] == "dropped by retention on 2025-11-24, policy version 7"
