"""Webhooks that we send: committed events, one POST each, signed as Standard Webhooks says, in order for each endpoint.

    the feed behind the kept cursor → POST → 2xx → the next
                                         └─ else the same again, by the standard's schedule
                                              └─ for `disabled_after_days`, or 410 → disabled, until somebody enables it

An event is sent at least once: its `webhook-id`, the event's own cursor, is the same each time, so that a receiver can
tell. What is kept of an endpoint is in the data folder (`webhook_files.py`), and a restart changes nothing: a disabled
one stays disabled, and goes on with the very event that it stopped at.
Source: https://www.standardwebhooks.com, "Operational considerations"; `standardwebhooks` for signing.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import structlog
from standardwebhooks import Webhook

from orchestrator.feed.feed import FeedEvent, FeedPage, Readable, newest, oldest, read_page
from orchestrator.feed.webhook_files import Kept, asked_file, kept_file, read_kept, take_asked, write
from orchestrator.settings import WebhookEndpoint
from protocol.errors import Code, Refusal

_log = structlog.get_logger(__name__)

PAGE = 100
"""Events between two writings of the cursor, at most: so many a receiver may get twice after a crash."""
LOOK_EVERY_S = 0.25
"""How often the journal's end, and what operators ask, is looked at while there is nothing to send."""
ANSWER_WITHIN_S = 15.0
"""As the standard advises receivers: take it, answer, work afterwards. Of the whole answer, in however many pieces."""
ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer that are read, and not kept: one that is read whole leaves its connection to the next event. Without a
bound a receiver could fill the memory of every channel's host."""
GONE = 410
"""The receiver wants no more (Standard Webhooks, "Delivery success and failure")."""
RETRY_AFTER_MAX_S = 86_400.0
"""A receiver may ask for time in `Retry-After`, a day at the most."""
JITTER = 0.2
"""Of a wait, at random, is added to it."""
DAY_MS = 86_400_000

SENDING, RETRYING, DISABLED = "sending", "retrying", "disabled"


class Endpoint:
    """One receiver. `status` tells how it is; `run` ends when it is cancelled."""

    def __init__(
        self,
        settings: WebhookEndpoint,
        folder: Path,
        *,
        journal: Readable,
        now_ms: Callable[[], int],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._file = kept_file(folder, settings.name)
        self._asked_file = asked_file(folder, settings.name)
        self._journal = journal
        self._now_ms = now_ms
        self._draw = draw
        # The newest first; a receiver takes what one of them fits.
        self._signers = [Webhook(secret) for secret in (settings.secret, settings.secret_before) if secret]
        self._types = frozenset(settings.types)
        self._kept = Kept(cursor="")
        self._next_at_ms = 0
        self.sent = 0
        self.gaps = 0
        """Times that retention, or another journal, had taken what was to be sent."""

    @property
    def state(self) -> str:
        """`sending`, `retrying` or `disabled`."""
        if self._kept.disabled_at_ms:
            return DISABLED
        return RETRYING if self._kept.failures else SENDING

    @property
    def failures(self) -> int:
        """In a row, of the event that is to go next."""
        return self._kept.failures

    def status(self) -> dict[str, Any]:
        """Figures for operators."""
        kept = self._kept
        return {
            "state": self.state,
            "sent": self.sent,
            "failures": kept.failures,
            "failing_since_at_ms": kept.failing_since_ms or None,
            "next_at_ms": self._next_at_ms if self.state == RETRYING else None,
            "disabled_at_ms": kept.disabled_at_ms or None,
            "gaps": self.gaps,
            "reason": kept.reason,
            "cursor": kept.cursor,
        }

    async def run(self) -> None:
        """Sends until cancelled; keeps the cursor then."""
        known = await asyncio.to_thread(read_kept, self._file)
        self._kept = Kept(cursor=await newest(self._journal)) if known is None else known
        if self._kept.failing_since_ms:
            # What this server was stopped for is not the receiver's failing.
            self._kept.failing_since_ms += self._now_ms() - self._kept.failed_at_ms
        await self._keep()
        # No proxy of the environment's: the address is the operator's. No redirects: a signature is for one receiver.
        async with httpx.AsyncClient(timeout=ANSWER_WITHIN_S, trust_env=False, follow_redirects=False) as http:
            try:
                while True:
                    await self._hear()
                    if self.state == DISABLED:
                        await asyncio.sleep(LOOK_EVERY_S)
                    else:
                        await self._send(http)
            finally:
                write(self._file, self._kept)

    async def _send(self, http: httpx.AsyncClient) -> None:
        """The next page of events, as far as it is taken."""
        page = await self._page()
        for event in page.events:
            if not await self._deliver(http, event):
                return
            self._kept.cursor = event.cursor
        await self._turn(page)

    async def _turn(self, page: FeedPage) -> None:
        """All of a page was taken: keeps how far that is, and waits where there was nothing."""
        moved, self._kept.cursor = self._kept.cursor != page.next or bool(page.events), page.next
        if moved:
            await self._keep()
        if not page.more:
            await asyncio.sleep(LOOK_EVERY_S)

    async def _page(self) -> FeedPage:
        try:
            return await read_page(self._journal, self._kept.cursor, limit=PAGE, types=self._types)
        except Refusal as refusal:
            if refusal.code not in (Code.GONE, Code.INVALID):
                raise
            self.gaps += 1
            _log.error("webhook.gap", endpoint=self._settings.name, code=int(refusal.code))
            self._kept.cursor = await oldest(self._journal)
            return await read_page(self._journal, self._kept.cursor, limit=PAGE, types=self._types)

    async def _deliver(self, http: httpx.AsyncClient, event: FeedEvent) -> bool:
        """Sends it until it is taken. False: the endpoint is disabled, or is to go on from elsewhere."""
        body = _body(event)
        while True:
            failure = await self._attempt(http, event.cursor, body)
            if failure is None:
                self._well()
                self.sent += 1
                return True
            reason, final, wait_s = failure
            self._failed(reason)
            if final or self._kept.failed_at_ms - self._kept.failing_since_ms >= self._disabled_after_ms:
                self._kept.disabled_at_ms = self._now_ms()
                await self._keep()
                _log.error("webhook.disabled", endpoint=self._settings.name, failures=self.failures, reason=reason)
                return False
            _log.warning("webhook.refused", endpoint=self._settings.name, failures=self.failures, reason=reason)
            await self._keep()
            if await self._asked_within(max(wait_s, self._wait_s())):
                return False

    @property
    def _disabled_after_ms(self) -> float:
        return self._settings.disabled_after_days * DAY_MS

    def _wait_s(self) -> float:
        """Before the next attempt: the schedule's, whose last one is repeated."""
        waits = self._settings.retry_s
        return waits[min(self.failures, len(waits)) - 1] * (1 + JITTER * self._draw())

    def _well(self) -> None:
        self._kept.failures = self._kept.failing_since_ms = self._kept.failed_at_ms = self._kept.disabled_at_ms = 0
        self._kept.reason = ""

    def _failed(self, reason: str) -> None:
        now_ms = self._now_ms()
        self._kept.failures += 1
        self._kept.failing_since_ms = self._kept.failing_since_ms or now_ms
        self._kept.failed_at_ms, self._kept.reason = now_ms, reason

    async def _asked_within(self, wait_s: float) -> bool:
        """Waits; True as soon as an operator asks for something."""
        clock = asyncio.get_running_loop().time
        until_s = clock() + wait_s
        self._next_at_ms = self._now_ms() + round(wait_s * 1000)
        while (left_s := until_s - clock()) > 0:
            if await self._hear():
                return True
            await asyncio.sleep(min(LOOK_EVERY_S, left_s))
        return False

    async def _hear(self) -> bool:
        """Does what an operator asked, if anything."""
        # One look at a name that is not there: no thread for that, four times a second.
        asked = take_asked(self._asked_file) if self._asked_file.exists() else None
        if asked is None:
            return False
        self._well()
        if asked.after:
            self._kept.cursor = asked.after
        await self._keep()
        _log.info("webhook.enabled", endpoint=self._settings.name, by=asked.by, cursor=self._kept.cursor)
        return True

    async def _attempt(self, http: httpx.AsyncClient, id: str, body: str) -> tuple[str, bool, float] | None:
        """What went wrong, whether to come again is no use, and how long the receiver asks to wait; None: it was
        taken."""
        at = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(each.sign(msg_id=id, timestamp=at, data=body) for each in self._signers),
        }
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                response = await _posted(http, self._settings.url, body.encode(), headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            return type(exc).__name__, False, 0.0
        if response.is_success:
            return None
        after_s = _seconds(response.headers.get("retry-after", ""))
        return f"HTTP {response.status_code}", response.status_code == GONE, after_s

    async def _keep(self) -> None:
        await asyncio.to_thread(write, self._file, self._kept)


class WebhookSender:
    """All endpoints, each with a task of its own: a slow one delays no other."""

    def __init__(
        self, endpoints: Sequence[WebhookEndpoint], folder: Path, *, journal: Readable, now_ms: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._endpoints = {
            endpoint.name: Endpoint(endpoint, folder, journal=journal, now_ms=now_ms) for endpoint in endpoints
        }

    async def run(self) -> None:
        """Sends until cancelled. Raises what the journal's reader or the folder raises."""
        if not self._endpoints:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.gather(*(endpoint.run() for endpoint in self._endpoints.values()))

    def status(self) -> dict[str, dict[str, Any]]:
        """How each endpoint is, by its name."""
        return {name: endpoint.status() for name, endpoint in self._endpoints.items()}


async def _posted(http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """The answer without its words. They are read as they come, not unpacked, and no further than the bound."""
    async with http.stream("POST", url, content=body, headers=headers) as response:
        read = 0
        async for piece in response.aiter_raw():
            read += len(piece)
            if read > ANSWER_BYTES_MAX:
                break
    return response


def _body(event: FeedEvent) -> str:
    """The payload: `type`, `timestamp` and `data`, as the standard recommends."""
    at = datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": event.type, "timestamp": at, "data": event}).decode()


def _seconds(retry_after: str) -> float:
    """RFC 9110 §10.2.3, the form in seconds; a date is not looked at."""
    return min(float(retry_after), RETRY_AFTER_MAX_S) if retry_after.isascii() and retry_after.isdigit() else 0.0
