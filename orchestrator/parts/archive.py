"""The archive's part."""

from pathlib import Path

from actors.archive.archive import Archive
from actors.archive.retention import Dated, Prunable, Retention
from adapters.attachments import AttachmentStore
from orchestrator.data_layout import ATTACHMENTS
from orchestrator.parts.surroundings import Surroundings
from orchestrator.pipes.switchboard import Arrival
from orchestrator.policy.first import policy_of

ARCHIVE_GATHER_S = 0.02
"""How long the archive lets records gather: a read that must see a write waits about as long. Under load it is up to
0.3 s, from 3,000 records/s on."""


class ArchivePart:
    """The archive, following the journal, listening for cells' snapshots."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._storage = surroundings.storage
        journal, store = surroundings.storage.journal_reader(), surroundings.storage.archive()
        self._archive = Archive(
            journal, store, gather_s=ARCHIVE_GATHER_S, retention=_retention(surroundings, journal, store)
        )
        self._journal = Arrival(self._archive)
        self._dialer = surroundings.switchboard.dial("journal", self._journal)
        self._listener = surroundings.switchboard.listen(self._archive)

    async def start(self) -> dict[str, str | int]:
        """Waits for the journal, catches up with it, then listens."""
        await self._dialer.start()
        await self._journal.wait()
        await self._storage.open_readers()
        await self._archive.start()
        await self._listener.start()
        return {"position": self._archive.position}

    async def run(self) -> None:
        """Follows."""
        await self._archive.run()

    async def drain(self) -> None:
        """Catches up with the journal."""
        self._archive.drain()

    async def stop(self) -> None:
        """Closes pipes and stores."""
        await self._listener.stop()
        await self._dialer.stop()
        await self._archive.close()
        await self._storage.close_readers()

    def status(self) -> dict[str, object]:
        """The archive's figures."""
        return dict(self._archive.status())


def _retention(surroundings: Surroundings, journal: Dated, store: Prunable) -> Retention:
    settings = surroundings.settings
    return Retention(
        journal,
        store,
        AttachmentStore(Path(settings.data) / ATTACHMENTS),
        kept_ms=round(settings.retention_days * 86_400_000),
        trims=settings.durability == "full",
        now_ms=surroundings.now_ms,
        policy=policy_of(settings),
    )
