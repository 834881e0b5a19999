"""Webhooks that we send: committed events, one POST each, signed as Standard Webhooks says, in order for each endpoint.

    the feed behind the kept cursor → POST → 2xx → the next; else the same again after a back-off → dead

An event is sent at least once: its `webhook-id`, the event's own cursor, is the same each time, so that a receiver can
tell. The cursor is kept in the data folder. A dead endpoint is left alone until the server starts again, and then goes
on with the very event that it stopped at. Source: https://www.standardwebhooks.com, `standardwebhooks` for signing.
"""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import structlog
from msgspec import Struct
from standardwebhooks import Webhook

from orchestrator.feed import FeedEvent, FeedPage, Readable, newest, oldest, read_page
from orchestrator.settings import WebhookEndpoint
from protocol.backoff import backoff_ms
from protocol.errors import Code, Refusal

_log = structlog.get_logger(__name__)

PAGE = 100
"""Events between two writings of the cursor, at most: so many a receiver may get twice after a crash."""
LOOK_EVERY_S = 0.25
"""How often the journal's end is looked at while there is nothing to send."""
ANSWER_WITHIN_S = 15.0
"""As the standard advises receivers: take it, answer, work afterwards."""
GONE = 410
"""The receiver wants no more (Standard Webhooks, "Operational considerations")."""

SENDING, RETRYING, DEAD = "sending", "retrying", "dead"


class Kept(Struct, kw_only=True):
    """What survives of an endpoint: everything up to `cursor` was answered with 2xx."""

    cursor: str


class Endpoint:
    """One receiver. `status` tells how it is; `run` ends when it is dead."""

    def __init__(
        self,
        settings: WebhookEndpoint,
        file: Path,
        *,
        journal: Readable,
        now_ms: Callable[[], int],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._file = file
        self._journal = journal
        self._now_ms = now_ms
        self._draw = draw
        self._signer = Webhook(settings.secret)
        self._types = frozenset(settings.types)
        self._kept = Kept(cursor="")
        self.state = SENDING
        self.sent = 0
        self.failures = 0
        """In a row, of the event that is to go next."""
        self.gaps = 0
        """Times that retention, or another journal, had taken what was to be sent."""
        self.reason = ""

    def status(self) -> dict[str, Any]:
        """Figures for operators."""
        return {
            "state": self.state,
            "sent": self.sent,
            "failures": self.failures,
            "gaps": self.gaps,
            "reason": self.reason,
            "cursor": self._kept.cursor,
        }

    async def run(self) -> None:
        """Sends until the endpoint is dead, or cancelled; keeps the cursor either way."""
        known = await asyncio.to_thread(_read, self._file)
        self._kept = Kept(cursor=await newest(self._journal)) if known is None else known
        await self._keep()
        # No proxy of the environment's: the address is the operator's. No redirects: a signature is for one receiver.
        async with httpx.AsyncClient(timeout=ANSWER_WITHIN_S, trust_env=False, follow_redirects=False) as http:
            try:
                while self.state != DEAD:
                    page = await self._page()
                    for event in page.events:
                        if not await self._deliver(http, event):
                            break
                        self._kept.cursor = event.cursor
                    else:
                        await self._turn(page)
            finally:
                _write(self._file, self._kept)

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
        """Sends it until it is taken. False: given up, and the endpoint is dead."""
        body = _body(event)
        while True:
            reason, final = await self._attempt(http, event.cursor, body)
            if not reason:
                self.state, self.failures, self.reason = SENDING, 0, ""
                self.sent += 1
                return True
            self.failures, self.reason = self.failures + 1, reason
            if final or self.failures >= self._settings.attempts_max:
                self.state = DEAD
                _log.error("webhook.dead", endpoint=self._settings.name, failures=self.failures, reason=reason)
                return False
            self.state = RETRYING
            wait_ms = backoff_ms(
                self.failures - 1,
                random=self._draw(),
                first_ms=round(self._settings.backoff_s * 1000),
                limit_ms=round(self._settings.backoff_max_s * 1000),
            )
            _log.warning("webhook.refused", endpoint=self._settings.name, failures=self.failures, reason=reason)
            await asyncio.sleep(wait_ms / 1000)

    async def _attempt(self, http: httpx.AsyncClient, id: str, body: str) -> tuple[str, bool]:
        """What went wrong, empty for nothing; and whether to come again is no use."""
        at = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(msg_id=id, timestamp=at, data=body),
        }
        try:
            response = await http.post(self._settings.url, content=body.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            return type(exc).__name__, False
        if response.is_success:
            return "", False
        return f"HTTP {response.status_code}", response.status_code == GONE

    async def _keep(self) -> None:
        await asyncio.to_thread(_write, self._file, self._kept)


class WebhookSender:
    """All endpoints, each with a task of its own: a slow one delays no other."""

    def __init__(
        self, endpoints: Sequence[WebhookEndpoint], folder: Path, *, journal: Readable, now_ms: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._endpoints = {
            endpoint.name: Endpoint(endpoint, folder / f"{endpoint.name}.json", journal=journal, now_ms=now_ms)
            for endpoint in endpoints
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


def _body(event: FeedEvent) -> str:
    """The payload: `type`, `timestamp` and `data`, as the standard recommends."""
    at = datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": event.type, "timestamp": at, "data": event}).decode()


def _read(file: Path) -> Kept | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None


def _write(file: Path, kept: Kept) -> None:
    """Whole or not at all, also where the power fails."""
    fresh = file.with_suffix(".new")
    with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
        out.write(msgspec.json.encode(kept))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
