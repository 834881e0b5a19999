"""The journal's part."""

from actors.journal.journal import Journal
from orchestrator.parts.surroundings import Surroundings


class JournalPart:
    """The journal, listening for cells and the archive."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._journal = Journal(
            surroundings.storage.journal(), archive_lag_max=surroundings.settings.limits.archive_lag_max
        )
        self._pipe = surroundings.switchboard.listen(self._journal)

    async def start(self) -> dict[str, str | int]:
        """Opens the store, then the pipe."""
        await self._journal.start()
        await self._pipe.start()
        return {"generation": self._journal.generation, "position": self._journal.position}

    async def run(self) -> None:
        """Commits."""
        await self._journal.run()

    async def drain(self) -> None:
        """Settles what it has received."""
        self._journal.drain()

    async def stop(self) -> None:
        """Closes the pipe, then the store."""
        await self._pipe.stop()
        await self._journal.close()

    def status(self) -> dict[str, object]:
        """The journal's figures."""
        return dict(self._journal.status())
