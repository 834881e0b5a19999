"""The gateway's part."""

import asyncio
from pathlib import Path

import msgspec

from adapters.attachments import AttachmentStore
from orchestrator.cluster.server_file import run_tokens
from orchestrator.data_layout import ATTACHMENTS, ERASURES, TOKENS_FILE, WEBHOOKS
from orchestrator.gateway.reads import sharing
from orchestrator.gateway.server import Gateway
from orchestrator.gateway.services import Stores
from orchestrator.parts.ending import first_of, until
from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings
from orchestrator.policy.desk import PolicyDesk
from orchestrator.policy.first import set_up_of
from orchestrator.policy.watched_folder import PolicyFolder
from orchestrator.report.desk import ReportDesk
from orchestrator.tokens import Tokens


class GatewayPart:
    """The gateway on its one port."""

    def __init__(self, surroundings: Surroundings) -> None:
        settings, data = surroundings.settings, Path(surroundings.settings.data)
        self._front = Front(surroundings, sharing.LISTS)
        self._drain_s = settings.limits.drain_s / 2
        self._port = _Port(surroundings.run / "http.port")
        self._desk = PolicyDesk(
            set_up_of(settings),
            self._front.in_force,
            self._front.cells.deciders,
            self._front.intake,
            self._front.archive,
            watched=settings.policy_folder,
        )
        # Before the front opens what was given out.
        history = surroundings.storage.archive_reader(sharing.HISTORY)
        counting = surroundings.storage.archive_reader(sharing.REPORTS)
        feed = surroundings.storage.journal_reader(sharing.FEED)
        self.report = ReportDesk(
            counting, self._front.journal, self._desk, self._front.intake, now_ms=surroundings.now_ms
        )
        self._gateway = Gateway(
            http=msgspec.structs.replace(settings.http, port=self._port.wanted(settings.http.port)),
            limits=settings.limits,
            accounts=self._front.in_force.accounts,
            cells=self._front.cells,
            intake=self._front.intake,
            stores=Stores(
                archive=self._front.archive,
                history=history,
                counting=counting,
                identities=self._front.journal,
                feed=feed,
                attachments=AttachmentStore(data / ATTACHMENTS),
                webhooks=data / WEBHOOKS,
                erasures=data / ERASURES,
            ),
            tokens=Tokens(data / TOKENS_FILE, now_ms=surroundings.now_ms, held=run_tokens(surroundings.run)),
            figures=self._front.figures,
            states=self._front.states,
            policy=self._desk,
            report=self.report,
            now_ms=surroundings.now_ms,
        )
        self._front.in_force.on_accounts = self._gateway.accounts_changed
        self._folder = PolicyFolder(Path(settings.policy_folder), self._desk) if settings.policy_folder else None
        self._beside: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Reaches the cells, then opens the port."""
        await self._front.start()
        await self._gateway.start()
        if self._folder is not None:
            self._beside.append(asyncio.create_task(self._folder.run(), name="policy folder"))
        self._beside.append(asyncio.create_task(self.report.run(), name="report"))
        self._port.keep(self._gateway.port)
        return {"port": self._gateway.port}

    async def run(self) -> None:
        """Serves. A folder that is no longer watched would go unnoticed: it ends with that as well."""
        await until(self._over, first_of(self._front.cells.fault.raised(), self._beside))

    async def drain(self) -> None:
        """Sends its clients away and closes the port."""
        await self._gateway.stop(self._drain_s)
        await self._front.answered(self._drain_s)
        self._over.set()

    async def stop(self) -> None:
        """Leaves the cells."""
        for task in self._beside:
            task.cancel()
        await self._front.stop()

    def status(self) -> dict[str, object]:
        """The gateway's own answer is read over HTTP."""
        return {"port": self._gateway.port, "unanswered": self._front.cells.unanswered}


class _Port:
    """A port that the system chose stays the same for the run: a gateway that comes back is where its clients look."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def wanted(self, configured: int) -> int:
        """The port to bind."""
        return int(self._file.read_text()) if not configured and self._file.exists() else configured

    def keep(self, port: int) -> None:
        """It was bound."""
        self._file.write_text(str(port))
