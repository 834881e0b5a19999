"""The channel host's part."""

import asyncio
from pathlib import Path

from adapters.attachments import AttachmentStore
from orchestrator.channels import ChannelHost
from orchestrator.cluster.server_file import url_of
from orchestrator.data_layout import ATTACHMENTS, WEBHOOKS
from orchestrator.feed.webhook_sender import WebhookSender
from orchestrator.parts.ending import until
from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import Settings


class ChannelsPart:
    """The channel host, with the accounts' listeners and ways out."""

    def __init__(self, surroundings: Surroundings) -> None:
        settings = surroundings.settings
        self._front = Front(surroundings)
        self._drain_s = settings.limits.drain_s / 2
        self._host = ChannelHost(
            settings.accounts,
            intake=self._front.intake,
            cells=self._front.cells,
            attachments=AttachmentStore(Path(settings.data) / ATTACHMENTS),
            now_ms=surroundings.now_ms,
            public_url=_public_url(settings),
        )
        self._webhooks = WebhookSender(
            settings.webhooks, Path(settings.data) / WEBHOOKS, journal=self._front.journal, now_ms=surroundings.now_ms
        )
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Reaches the cells, then opens the listeners. The ports stand by account, as `smtp:<account>`."""
        await self._front.start()
        await self._host.start()
        return {f"smtp:{account}": port for account, port in self._host.ports().items()}

    async def run(self) -> None:
        """Serves."""
        await until(self._over, self._serve())

    async def _serve(self) -> None:
        await asyncio.gather(self._front.cells.fault.raised(), self._webhooks.run())

    async def drain(self) -> None:
        """Closes the listeners, and waits for mails and attempts under way and until the cells know their outcomes."""
        await self._host.stop(self._drain_s)
        await self._front.answered(self._drain_s)
        self._over.set()

    async def stop(self) -> None:
        """Leaves the cells."""
        await self._front.stop()

    def status(self) -> dict[str, object]:
        """The host's figures."""
        status = {"unanswered": self._front.cells.unanswered, **self._host.status()}
        return {**status, "webhooks": self._webhooks.status()}


def _public_url(settings: Settings) -> str:
    """Where the server can be called back as far as the settings say; empty where the system chooses the port."""
    return url_of(settings.http.host, settings.http.port) if settings.http.port else ""
