"""The usher's part, in dedicated placement."""

import asyncio

from actors.seats.seating import Seating, Wanted
from actors.seats.usher import Usher
from orchestrator.parts.ending import until
from orchestrator.parts.surroundings import Surroundings
from orchestrator.pipes.switchboard import Arrival


class UsherPart:
    """The usher, listening for seats, gateways and channel hosts."""

    def __init__(self, surroundings: Surroundings) -> None:
        limits = surroundings.settings.limits
        seating = Seating(seats_max=limits.dedicated_max, warm=limits.dedicated_warm)
        self._storage = surroundings.storage
        self._usher = Usher(seating, surroundings.storage.archive_reader(), now_ms=surroundings.now_ms)
        self._archive = Arrival(self._usher)
        self._dialer = surroundings.switchboard.dial("archive", self._archive)
        self._listener = surroundings.switchboard.listen(self._usher)
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Waits for the archive, then listens."""
        await self._dialer.start()
        await self._archive.wait()
        await self._storage.open_readers()
        await self._listener.start()
        return {}

    async def run(self) -> None:
        """Lives until drained."""
        await until(self._over, self._usher.run())

    async def drain(self) -> None:
        """It holds nothing that is not known elsewhere."""
        self._over.set()

    async def stop(self) -> None:
        """Closes pipes and readers."""
        await self._listener.stop()
        await self._dialer.stop()
        await self._storage.close_readers()

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        """See `Usher.wanted`."""
        return await self._usher.wanted(known)

    def status(self) -> dict[str, object]:
        """The usher's figures."""
        return dict(self._usher.status())
