"""Gateway clients at a real gateway: events in and answered after their commit, deliveries out."""

from typing import Any

import msgspec
import pytest

from orchestrator.gateway.websockets.gateway_clients import NAMED_MAX
from orchestrator.settings import Account, GatewayAccount, Limits
from protocol.errors import Code, Refusal
from protocol.links import Answered, Attempt, TakersAre
from tests.orchestrator.gateway.conftest import NOW_MS, Running, Start, until

NOW = Attempt(
    customer="cu1",
    conversation="cu1-1",
    delivery="cu1-1.5",
    number=1,
    channel="chat",
    account="chat",
    to="user:1",
    text="hello",
    subject="",
    references=[],
)


def event(id: str, **fields: Any) -> dict[str, Any]:
    """An event as a client writes it."""
    data = {"type": "throughline.message.received", "text": "hello"}
    return {
        "id": id,
        "source": "test",
        "time_ms": NOW_MS,
        "account": "chat",
        "channel": "chat",
        "identities": ["user:1"],
        "data": data,
        **fields,
    }


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_events_are_acked_after_their_commit(running: Running, codec: str) -> None:
    """Answers of one turn leave together."""
    running.intake.held = True
    async with running.client(codec=codec) as client:
        await client.send({"op": "event", "event": event("a")}, {"op": "events", "events": [event("b"), event("c")]})
        await until(lambda: len(running.intake.taken) == 3)
        running.intake.statuses["d"] = "repeat"
        await client.send({"op": "event", "event": event("d")})
        await until(lambda: len(running.intake.taken) == 4)
        running.intake.release()
        assert await client.next("ack") == {"op": "ack", "ids": ["a", "b", "c"]}
        assert await client.next("ack") == {"op": "ack", "ids": ["d"], "status": "repeat"}
    assert running.metric("throughline_events_total", status="committed", account="chat") == 3


async def test_more_events_than_credits_end_the_connection(start: Start) -> None:
    """The limit is the one that `welcome` said; what was taken stays taken."""
    running = await start(limits=Limits(gateway_credits=2))
    running.intake.held = True
    async with running.socket("/v1/gateway") as client:
        welcome = await client.hello(running.token["chat"])
        assert welcome["limits"]["credits"] == 2
        await client.send({"op": "events", "events": [event("a"), event("b"), event("c")]})
        assert (await client.next("error"))["code"] == Code.CREDITS_EXCEEDED
        assert await client.close_code() == Code.CREDITS_EXCEEDED
    assert running.metric("throughline_refusals_total", code="credits_exceeded", entrance="gateway") == 1
    assert (await running.gateway.status())["refusals"] == {"credits_exceeded": 1}
    assert [taken.id for taken in running.intake.taken] == ["a", "b"]


async def test_an_answer_gives_its_credit_back(start: Start) -> None:
    """A client that waits for answers can go on without end."""
    running = await start(limits=Limits(gateway_credits=1))
    async with running.client() as client:
        for id in ("a", "b", "c"):
            await client.send({"op": "event", "event": event(id)})
            assert (await client.next("ack"))["ids"] == [id]


async def test_refusals_are_nacks_that_say_whether_to_repeat(running: Running) -> None:
    """A bad event costs only itself: the others of its frame are taken."""
    running.intake.refuse["full"] = Refusal(Code.OVERLOADED, "later")
    events = [event("good"), event("full"), event("bad", time_ms="noon"), event("alien", account="mail")]
    async with running.client() as client:
        await client.send({"op": "events", "events": events})
        answers = [await client.frame() for _ in range(4)]
    nacks = {answer["id"]: answer for answer in answers if answer["op"] == "nack"}
    assert [answer["ids"] for answer in answers if answer["op"] == "ack"] == [["good"]]
    assert (nacks["full"]["code"], nacks["full"]["retryable"]) == (Code.OVERLOADED, True)
    assert (nacks["bad"]["code"], nacks["bad"]["retryable"]) == (Code.INVALID, False)
    assert "time_ms" in nacks["bad"]["message"]
    assert nacks["alien"]["code"] == Code.UNKNOWN_ACCOUNT
    assert nacks["alien"]["message"].startswith("account: 'mail' is not configured")


async def test_what_would_be_refused_again_is_kept(running: Running) -> None:
    """The client hears why, and that it is in quarantine."""
    running.intake.refuse["odd"] = Refusal(Code.TIME_IMPLAUSIBLE, "too far ahead", ref="odd", field="time")
    async with running.client() as client:
        await client.send({"op": "event", "event": event("odd")})
        error = await client.next("error")
        assert (error["code"], error["ref"]) == (Code.TIME_IMPLAUSIBLE, "odd")
        assert await client.next("ack") == {"op": "ack", "ids": ["odd"], "status": "quarantined"}
    ((account, source, id, refusal, raw),) = running.intake.quarantined
    assert (account, source, id, refusal.code) == ("chat", "test", "odd", Code.TIME_IMPLAUSIBLE)
    assert b'"id":"odd"' in raw


async def test_a_delivery_goes_to_the_accounts_client_and_its_answer_to_the_cell(running: Running) -> None:
    """One attempt, one outcome."""
    async with running.client(accounts=["chat"]) as client:
        running.cells.on_deliver(NOW)
        deliver = await client.next("deliver")
        assert (deliver["delivery"], deliver["attempt"], deliver["text"]) == ("cu1-1.5", 1, "hello")
        await client.send(
            {"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent", "external_id": "x9"}
        )
        await until(lambda: bool(running.cells.outcomes))
    (outcome,) = running.cells.outcomes
    assert (outcome.status, outcome.external_id, outcome.conversation) == ("sent", "x9", "cu1-1")


async def test_a_delivery_with_nobody_to_take_it_is_untaken(running: Running) -> None:
    """Surely not sent: it goes out as soon as somebody is there."""
    async with running.client() as client:
        running.cells.on_deliver(NOW)
        assert [outcome.status for outcome in running.cells.outcomes] == ["untaken"]
        await client.send({"op": "event", "event": event("a")})
        await client.next("ack")


async def test_a_delivery_that_was_written_is_uncertain_when_the_client_goes(running: Running) -> None:
    """And what the client says on its next connection is heard."""
    async with running.client(accounts=["chat"]) as client:
        running.cells.on_deliver(NOW)
        await client.next("deliver")
    await until(lambda: bool(running.cells.outcomes))
    assert [outcome.status for outcome in running.cells.outcomes] == ["uncertain"]
    async with running.client(accounts=["chat"]) as client:
        await client.send({"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent"})
        await until(lambda: len(running.cells.outcomes) == 2)
        assert running.cells.outcomes[1].status == "sent"


@pytest.mark.parametrize(
    ("delivery", "status", "code"),
    [("cu1-1.9", "sent", Code.NOT_FOUND), ("cu1-1.5", "maybe", Code.INVALID)],
)
async def test_an_answer_to_nothing_is_an_error(running: Running, delivery: str, status: str, code: Code) -> None:
    """The connection goes on."""
    running.cells.outcome_reply = Answered(0, "repeat", "", 0, 1)
    async with running.client(accounts=["chat"]) as client:
        await client.send({"op": "delivered", "delivery": delivery, "attempt": 1, "status": status})
        error = await client.next("error")
        assert (Code(error["code"]), error["ref"]) == (code, delivery)
        await client.send({"op": "event", "event": event("a")})
        await client.next("ack")


async def test_only_whose_hello_names_the_account_answers(running: Running) -> None:
    """Whatever the token covers; the error is counted, nothing changes, and the account's own answer is heard."""
    answer = {"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent"}
    async with running.client(accounts=["chat"]) as client, running.client("star") as other:
        running.cells.on_deliver(NOW)
        await client.next("deliver")
        await other.send(answer)
        error = await other.next("error")
        assert (error["code"], error["ref"]) == (Code.UNKNOWN_ACCOUNT, "cu1-1.5")
        assert running.cells.outcomes == []
        assert running.metric("throughline_refusals_total", code="unknown_account", entrance="gateway") == 1
        await client.send(answer)
        await until(lambda: bool(running.cells.outcomes))
    assert [outcome.status for outcome in running.cells.outcomes] == ["sent"]


@pytest.mark.parametrize(
    ("name", "accounts", "why"),
    [
        ("agent", [], "needs a token with a scope"),
        ("chat", ["mail"], "'mail' is not configured, or the token does not speak for it"),
        ("star", ["mail"], "'mail' is not one that gateway clients deliver for"),
        ("star", ["none"], "'none' is not configured, or the token does not speak for it"),
    ],
)
async def test_hello_needs_scopes_that_cover_it(running: Running, name: str, accounts: list[str], why: str) -> None:
    """An agent's token is not a gateway client's, and mail is not delivered by gateway clients."""
    async with running.socket("/v1/gateway") as client:
        await client.send({"op": "hello", "token": running.token[name], "accounts": accounts})
        error = await client.next("error")
        assert error["code"] == Code.FORBIDDEN
        assert why in error["message"]
        assert await client.close_code() == Code.FORBIDDEN


async def test_a_client_of_several_lines_is_welcomed_for_those_that_there_are(running: Running) -> None:
    """It hears of the others and why, is given what is for the ones, and told to cells as their taker alone."""
    async with running.client("star", accounts=["gone", "chat", "mail", "chat"]) as client:
        said = await client.next("accounts")
        assert said["taken"] == ["chat"]
        assert list(said["untaken"]) == ["gone", "mail"]
        assert "'gone' is not configured, or the token does not speak for it" in said["untaken"]["gone"]
        assert "not one that gateway clients deliver for" in said["untaken"]["mail"]
        assert running.cells.told == [TakersAre(["chat"])]
        running.cells.on_deliver(NOW)
        assert (await client.next("deliver"))["account"] == "chat"


async def test_who_takes_all_that_it_named_is_told_nothing_of_it(running: Running) -> None:
    """The frame is for who has to know."""
    async with running.client(accounts=["chat"]) as client:
        await client.send({"op": "event", "event": event("a")})
        await client.next("ack")


async def test_an_account_that_goes_and_comes_back_does_so_for_who_is_connected(start: Start) -> None:
    """Told each time, once. What it was given before, it answers; what comes meanwhile nobody takes."""
    accounts: dict[str, Account] = {"chat": GatewayAccount(name="chat"), "line": GatewayAccount(name="line")}
    running = await start(accounts=accounts)
    line = msgspec.structs.replace(NOW, account="line")
    async with running.client("star", accounts=["chat", "line"]) as client:
        running.cells.on_deliver(line)
        await client.next("deliver")
        del accounts["line"]
        running.gateway.accounts_changed()
        running.gateway.accounts_changed()
        said = await client.next("accounts")
        assert (said["taken"], list(said["untaken"])) == (["chat"], ["line"])
        await client.send({"op": "delivered", "delivery": line.delivery, "attempt": 1, "status": "sent"})
        await until(lambda: bool(running.cells.outcomes))
        running.cells.on_deliver(msgspec.structs.replace(line, number=2))
        assert [outcome.status for outcome in running.cells.outcomes] == ["sent", "untaken"]
        accounts["line"] = GatewayAccount(name="line")
        running.gateway.accounts_changed()
        assert await client.next("accounts") == {"op": "accounts", "taken": ["chat", "line"]}
        running.cells.on_deliver(msgspec.structs.replace(line, number=3))
        assert (await client.next("deliver"))["attempt"] == 3
    assert running.cells.told[:3] == [TakersAre(["chat", "line"]), TakersAre(["chat"]), TakersAre(["chat", "line"])]


async def test_an_account_that_was_not_there_at_the_hello_is_taken_as_it_comes(start: Start) -> None:
    """Where the token covers it; and an answer about it is heard before that: it may have been given it before."""
    accounts: dict[str, Account] = {"chat": GatewayAccount(name="chat")}
    running = await start(accounts=accounts)
    async with running.client("star", accounts=["chat", "line"]) as client:
        await client.next("accounts")
        await client.send({"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent"})
        await until(lambda: bool(running.cells.outcomes))
        assert running.cells.outcomes[0].accounts == ["chat", "line"]
        accounts["line"] = GatewayAccount(name="line")
        accounts["other"] = GatewayAccount(name="other")
        running.gateway.accounts_changed()
        assert await client.next("accounts") == {"op": "accounts", "taken": ["chat", "line"]}
        running.cells.on_deliver(msgspec.structs.replace(NOW, account="line", number=2))
        await client.next("deliver")


async def test_what_the_token_does_not_cover_is_not_taken_when_it_comes(start: Start) -> None:
    """Nor are its answers heard."""
    accounts: dict[str, Account] = {"chat": GatewayAccount(name="chat")}
    running = await start(accounts=accounts)
    async with running.client(accounts=["chat", "line"]) as client:
        await client.next("accounts")
        accounts["line"] = GatewayAccount(name="line")
        running.gateway.accounts_changed()
        await client.send({"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent"})
        await until(lambda: bool(running.cells.outcomes))
        assert running.cells.outcomes[0].accounts == ["chat"]
        assert running.cells.told == [TakersAre(["chat"])]


async def test_a_hello_has_a_bound_of_accounts(running: Running) -> None:
    """One more is refused; a name that no account can have is told so, and reaches no cell."""
    names = [f"line{n}" for n in range(NAMED_MAX - 1)]
    async with running.client("star", accounts=["chat", *names]) as client:
        assert len((await client.next("accounts"))["untaken"]) == NAMED_MAX - 1
    async with running.socket("/v1/gateway") as client:
        await client.send({"op": "hello", "token": running.token["star"], "accounts": ["chat", "more", *names]})
        assert f"at most {NAMED_MAX}" in (await client.next("error"))["message"]
        assert await client.close_code() == Code.TOO_LARGE
    async with running.client("star", accounts=["chat", "l" * 65]) as client:
        await client.send({"op": "delivered", "delivery": "cu1-1.5", "attempt": 1, "status": "sent"})
        await until(lambda: bool(running.cells.outcomes))
    assert running.cells.outcomes[0].accounts == ["chat"]


async def test_an_event_that_is_answered_after_the_client_left_harms_nobody(running: Running) -> None:
    """It is committed; the client sends it again and hears of the repeat."""
    running.intake.held = True
    async with running.client() as client:
        await client.send({"op": "event", "event": event("a")})
        await until(lambda: len(running.intake.taken) == 1)
    await until(lambda: not running.gateway._sockets.connections)
    running.intake.release()
    async with running.client() as client:
        await client.send({"op": "event", "event": event("b")})
        assert (await client.next("ack"))["ids"] == ["b"]


async def test_a_bug_while_an_event_is_kept_is_its_answer(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The client would wait for one, and for the credit; the bug's own words are nobody's to read."""
    running.intake.refuse["odd"] = Refusal(Code.INVALID, "not like this")
    running.intake.unkept = ValueError("a customer's words")
    async with running.client() as client:
        await client.send({"op": "event", "event": event("odd")})
        nack = await client.next("nack")
        assert (nack["id"], nack["code"]) == ("odd", Code.INTERNAL)
        await client.send({"op": "event", "event": event("next")})
        assert (await client.next("ack"))["ids"] == ["next"]
    assert "customer's words" not in capsys.readouterr().out
