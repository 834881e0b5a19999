"""Webhooks that we send: a real receiver checks each signature with the standard's own library."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from adapters.channels.fakes.http_server import Answer, HttpServer, Request
from orchestrator.feed import webhook_sender
from orchestrator.feed.feed import read_page
from orchestrator.feed.webhook_files import Asked, asked_file, write
from orchestrator.feed.webhook_sender import DISABLED, RETRYING, SENDING, Endpoint, WebhookSender
from orchestrator.settings import SettingsError, WebhookEndpoint
from orchestrator.settings.file import parse
from protocol import events as ev
from tests.orchestrator.feed.test_feed import ANN, Kept, told

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE_S = 10.0


class Receiver:
    """Takes what verifies; `answers` are given first, one a request, and None breaks off."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.taken: list[dict[str, Any]] = []
        self.requests: list[tuple[bytes, Mapping[str, str]]] = []
        self.answers: list[int | None] = []
        self.changed = asyncio.Event()
        self.looks_at_times = True
        """Off where a test's clock is another: the library knows only its own."""
        self._server = HttpServer(self._answer)

    async def start(self) -> str:
        """Returns its address."""
        return await self._server.start("127.0.0.1", 0)

    async def stop(self) -> None:
        """Ends it."""
        await self._server.close()

    async def _answer(self, request: Request) -> Answer | None:
        payload = json.loads(request.body)
        if self.looks_at_times:
            assert Webhook(SECRET).verify(request.body, request.headers) == payload
        self.requests.append((request.body, request.headers))
        self.ids.append(request.headers["webhook-id"])
        self.changed.set()
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            return None
        if status < 300:
            self.taken.append(payload)
        return Answer(status, {})

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for requests until it is so."""
        async with asyncio.timeout(DEADLINE_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One on loopback."""
    one = Receiver()
    yield one
    await one.stop()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Sending:
    """An endpoint's life on a journal."""

    def __init__(
        self, journal: Kept, folder: Path, url: str, now_ms: Callable[[], int] = _now_ms, **settings: Any
    ) -> None:
        settings = {"retry_s": (0.001,), **settings}
        self.endpoint = Endpoint(
            WebhookEndpoint(name="crm", url=f"{url}/hook", **{"secret": SECRET, **settings}),
            folder,
            journal=journal,
            now_ms=now_ms,
        )
        self.task = asyncio.create_task(self.endpoint.run())

    async def stop(self) -> None:
        """Cancels it, as the server's end does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def so(true: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so: inside the endpoint, which tells no test."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


def from_the_start(folder: Path) -> None:
    """The endpoint was known before anything happened."""
    (folder / "crm.json").write_text(json.dumps({"cursor": "g1-0"}))


async def test_every_event_is_sent_signed_and_in_order(receiver: Receiver, tmp_path: Path) -> None:
    """With its type, its time and its place."""
    story = told()
    from_the_start(tmp_path)
    sending = Sending(Kept(story.records), tmp_path, await receiver.start())
    await so(lambda: sending.endpoint.sent == len(story.events))
    await sending.stop()
    places = [(taken["data"]["stream"], taken["data"]["seq"], taken["type"]) for taken in receiver.taken]
    assert places == [(stream, seq, type(event).__name__) for stream, seq, event in story.events]
    assert receiver.taken[0]["timestamp"] == "2023-11-14T22:13:20Z"
    assert receiver.ids == [taken["data"]["cursor"] for taken in receiver.taken]
    assert (sending.endpoint.state, sending.endpoint.sent) == (SENDING, len(story.events))


async def test_a_secret_is_changed_without_a_gap(receiver: Receiver, tmp_path: Path) -> None:
    """A receiver that has the one before, and one that has the new one, take each event."""
    story = told()
    from_the_start(tmp_path)
    newer = "whsec_" + base64.b64encode(b"n" * 32).decode()
    sending = Sending(Kept(story.records), tmp_path, await receiver.start(), secret=newer, secret_before=SECRET)
    await so(lambda: sending.endpoint.sent == len(story.events))
    await sending.stop()
    body, headers = receiver.requests[0]
    assert Webhook(newer).verify(body, dict(headers)) == receiver.taken[0]


async def test_a_new_endpoint_begins_with_what_comes(receiver: Receiver, tmp_path: Path) -> None:
    """What was before it is the feed's to give; a filter leaves the rest out."""
    story = told()
    journal = Kept(story.records)
    sending = Sending(journal, tmp_path, await receiver.start(), types=["IdentityConflictFound"])
    await so((tmp_path / "crm.json").exists)
    story.unit(ANN, (f"{ANN}-1", ev.NoteAdded(at_ms=0, text="n")))
    story.unit(ANN, (ANN, ev.IdentityConflictFound(at_ms=0, identity="user:1", other="cubob")))
    await receiver.until(lambda: bool(receiver.taken))
    await sending.stop()
    assert [taken["type"] for taken in receiver.taken] == ["IdentityConflictFound"]


async def test_what_is_not_taken_comes_again_under_its_id(receiver: Receiver, tmp_path: Path) -> None:
    """Before anything that follows it."""
    story = told()
    from_the_start(tmp_path)
    receiver.answers = [200, 500, None, 404, 200]
    sending = Sending(Kept(story.records), tmp_path, await receiver.start())
    await so(lambda: sending.endpoint.sent == len(story.events))
    await sending.stop()
    assert len(set(receiver.ids[1:5])) == 1
    assert receiver.ids[0] != receiver.ids[1] != receiver.ids[5]
    assert len(receiver.taken) == len({taken["data"]["cursor"] for taken in receiver.taken})
    assert (sending.endpoint.state, sending.endpoint.failures) == (SENDING, 0)


class Days:
    """A clock on which each look is some hours later."""

    def __init__(self, hours: float) -> None:
        self.ms = 1_700_000_000_000
        self.hours = hours

    def __call__(self) -> int:
        """Time goes on."""
        self.ms += round(self.hours * 3_600_000)
        return self.ms


async def test_an_endpoint_that_fails_for_days_is_disabled_and_stays_so(receiver: Receiver, tmp_path: Path) -> None:
    """Over a restart too; whoever enables it has it go on with the same event."""
    story = told()
    from_the_start(tmp_path)
    receiver.answers, receiver.looks_at_times = [200, *[503] * 50], False
    url = await receiver.start()
    sending = Sending(Kept(story.records), tmp_path, url, now_ms=Days(12), disabled_after_days=3)
    await so(lambda: sending.endpoint.state == DISABLED)
    await sending.stop()
    status = sending.endpoint.status()
    assert (status["state"], status["reason"], status["sent"]) == (DISABLED, "HTTP 503", 1)
    assert status["disabled_at_ms"] > status["failing_since_at_ms"]
    tried = len(receiver.ids)
    assert tried < 50
    receiver.answers = []
    again = Sending(Kept(story.records), tmp_path, url)
    await so(lambda: again.endpoint.state == DISABLED)
    write(asked_file(tmp_path, "crm"), Asked(by="operator:op"))
    await receiver.until(lambda: len(receiver.taken) == len(story.events))
    await again.stop()
    assert receiver.ids[tried] == receiver.ids[tried - 1]
    assert not asked_file(tmp_path, "crm").exists()


async def test_how_far_it_came_is_kept_while_it_runs(receiver: Receiver, tmp_path: Path) -> None:
    """A server that is killed does not send again what was taken long before."""
    story = told()
    from_the_start(tmp_path)
    journal = Kept(story.records)
    sending = Sending(journal, tmp_path, await receiver.start())
    await receiver.until(lambda: len(receiver.taken) == len(story.events))
    end = (await read_page(journal, "", limit=len(story.events))).next
    await so(lambda: json.loads((tmp_path / "crm.json").read_text())["cursor"] == end)
    await sending.stop()


async def test_the_time_that_this_server_was_stopped_is_not_the_receivers(receiver: Receiver, tmp_path: Path) -> None:
    """It failed once, for no time yet, before a stop of a month: one more failure does not disable it."""
    kept = {"cursor": "g1-0", "failures": 1, "failing_since_ms": 1_700_000_000_000, "failed_at_ms": 1_700_000_000_000}
    (tmp_path / "crm.json").write_text(json.dumps(kept))
    month_ms = 30 * 86_400_000
    receiver.answers, receiver.looks_at_times = [500], False
    story = told()
    sending = Sending(
        Kept(story.records), tmp_path, await receiver.start(), now_ms=lambda: 1_700_000_000_000 + month_ms
    )
    await receiver.until(lambda: len(receiver.taken) == len(story.events))
    await sending.stop()


async def test_an_operator_ends_a_long_wait_and_sends_again_from_elsewhere(receiver: Receiver, tmp_path: Path) -> None:
    """From a position on everything comes again, under the ids that it had."""
    story = told()
    from_the_start(tmp_path)
    receiver.answers = [200, 500]
    sending = Sending(Kept(story.records), tmp_path, await receiver.start(), retry_s=(3600.0,))
    await so(lambda: sending.endpoint.state == RETRYING)
    await so(lambda: bool(sending.endpoint.status()["next_at_ms"]))
    write(asked_file(tmp_path, "crm"), Asked(by="operator:op", after="g1-0"))
    await receiver.until(lambda: len(receiver.taken) == 1 + len(story.events))
    await sending.stop()
    assert receiver.ids[2] == receiver.ids[0]


async def test_gone_is_a_no_until_somebody_says_otherwise(receiver: Receiver, tmp_path: Path) -> None:
    """HTTP 410, says the standard."""
    from_the_start(tmp_path)
    receiver.answers = [410]
    sending = Sending(Kept(told().records), tmp_path, await receiver.start())
    await so(lambda: sending.endpoint.state == DISABLED)
    await sending.stop()
    assert sending.endpoint.failures == 1


async def test_waits_are_the_standards_and_what_the_receiver_asks(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last is repeated; a longer `Retry-After` comes before it."""
    assert WebhookEndpoint(name="n", url="https://x.example/", secret=SECRET).retry_s == (
        5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
    )  # fmt: skip
    assert webhook_sender._seconds("120") == 120
    assert webhook_sender._seconds("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert webhook_sender._seconds("9" * 12) == webhook_sender.RETRY_AFTER_MAX_S
    waited: list[float] = []

    async def note(self: Endpoint, wait_s: float) -> bool:
        waited.append(wait_s)
        return False

    monkeypatch.setattr(Endpoint, "_asked_within", note)
    monkeypatch.setattr(webhook_sender, "JITTER", 0.0)
    from_the_start(tmp_path)
    receiver.answers = [500] * 4
    story = told()
    sending = Sending(Kept(story.records), tmp_path, await receiver.start(), retry_s=(5.0, 300.0))
    await receiver.until(lambda: len(receiver.taken) == len(story.events))
    await sending.stop()
    assert waited == [5.0, 300.0, 300.0, 300.0]


async def test_nobody_there_is_a_failure_as_any(tmp_path: Path) -> None:
    """The state says what is tried."""
    from_the_start(tmp_path)
    sending = Sending(Kept(told().records), tmp_path, "http://127.0.0.1:9", retry_s=(60.0,))
    await so(lambda: bool(sending.endpoint.failures))
    assert (sending.endpoint.state, sending.endpoint.status()["reason"]) == (RETRYING, "ConnectError")
    await sending.stop()


async def test_what_was_taken_is_not_sent_after_a_stop(receiver: Receiver, tmp_path: Path) -> None:
    """The cursor is kept on the way out."""
    story = told()
    journal = Kept(story.records)
    from_the_start(tmp_path)
    url = await receiver.start()
    first = Sending(journal, tmp_path, url)
    await receiver.until(lambda: len(receiver.taken) >= 2)
    await first.stop()
    second = Sending(journal, tmp_path, url)
    await receiver.until(lambda: receiver.ids[-1] == f"g1-{story.position}")
    await second.stop()
    # At most the one under way when the first was stopped comes twice.
    assert len(receiver.ids) - len(set(receiver.ids)) <= 1
    assert list(dict.fromkeys(receiver.ids)) == sorted(set(receiver.ids), key=receiver.ids.index)
    assert len(set(receiver.ids)) == len(story.events)


async def test_a_gap_is_counted_and_passed(receiver: Receiver, tmp_path: Path) -> None:
    """Retention took what was to be sent: the rest goes out, and an operator sees it."""
    story = told()
    from_the_start(tmp_path)
    sending = Sending(Kept(story.records, first=3), tmp_path, await receiver.start())
    await receiver.until(lambda: receiver.ids[-1:] == [f"g1-{story.position}"])
    await sending.stop()
    assert sending.endpoint.gaps == 1
    assert receiver.taken[0]["data"]["position"] == 3


async def test_endpoints_do_not_wait_for_each_other(receiver: Receiver, tmp_path: Path) -> None:
    """One that is not there delays nobody."""
    url = await receiver.start()
    story = told()
    settings = [
        WebhookEndpoint(name="gone", url="http://127.0.0.1:9/", secret=SECRET),
        WebhookEndpoint(name="crm", url=url, secret=SECRET),
    ]
    from_the_start(tmp_path)
    (tmp_path / "gone.json").write_bytes((tmp_path / "crm.json").read_bytes())
    sender = WebhookSender(settings, tmp_path, journal=Kept(story.records), now_ms=lambda: time.time_ns() // 1_000_000)
    task = asyncio.create_task(sender.run())
    await receiver.until(lambda: len(receiver.taken) == len(story.events))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sender.status()["gone"]["state"] == RETRYING


@pytest.mark.parametrize(
    ("endpoint", "what"),
    [
        ({"secret": "swordfish"}, "whsec_"),
        ({"secret_before": "swordfish"}, "whsec_"),
        ({"url": "ftp://crm.example.org"}, "https://crm.example.org"),
        ({"types": ["MessageRecieved"]}, "MessageRecieved"),
        ({"name": "a b"}, "name"),
    ],
)
def test_settings_say_what_to_write(endpoint: dict[str, Any], what: str) -> None:
    """A webhook that cannot work is found at the start."""
    whole = {"name": "crm", "url": "https://crm.example.org/x", "secret": SECRET, **endpoint}
    with pytest.raises(SettingsError, match=what):
        parse({"webhooks": [whole]})
    with pytest.raises(SettingsError, match="unique"):
        parse({"webhooks": [{"name": "crm", "url": "https://c.example/", "secret": SECRET}] * 2})


@contextlib.asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A receiver that answers each request by hand, at the address."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (ConnectionError, asyncio.CancelledError):
            """The sender has left, or the test is over."""
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
        for each in filter(None, serving):
            each.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)


async def test_an_answer_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Its status is what counts; its words would fill the memory."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    from_the_start(tmp_path)
    async with answering(endless) as url:
        sending = Sending(Kept(told().records), tmp_path, url)
        try:
            await so(lambda: sending.endpoint.sent > 1)
        finally:
            await sending.stop()


async def test_an_answer_that_drips_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time and the whole never does: the endpoint would wait with it for ever, and say that all is
    well."""
    monkeypatch.setattr(webhook_sender, "ANSWER_WITHIN_S", 0.05)

    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.01)

    from_the_start(tmp_path)
    async with answering(dripping) as url:
        sending = Sending(Kept(told().records), tmp_path, url)
        try:
            await so(lambda: sending.endpoint.failures > 1)
            assert sending.endpoint.status()["reason"] == "TimeoutError"
        finally:
            await sending.stop()
