"""Parts that do nothing but live, so that tests of process life need no store, no port and no customer."""

import asyncio
import os
import signal
from pathlib import Path

from orchestrator.settings import Settings

REFUSES = "refuses"
"""A file `refuses-<process>` in the data folder makes that process's start fail."""
FAILS = "fails"
"""A file `fails-<process>` with a number makes as many of its starts raise, as a bug does."""
LEAVES = "leaves"
"""The same, but what is raised leaves the host as well."""
DIES = "dies"
"""The same, but each of these starts ends its process as a kill does."""
BREAKS = "breaks"
"""A file `breaks-<process>` breaks the process once it serves; the file is gone then."""
HANGS = "hangs"
"""A file `hangs-<process>` stops the process's loop for good once it is asked how it is; the file is gone then."""
NEWS = "news"
"""A FIFO in the data folder that the parts write a line to when they are `born` and `drained`: what, process, pid."""


class Toy:
    """Serves nothing until drained."""

    def __init__(self, name: str, data: Path) -> None:
        self._name = name
        self._data = data
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        if (self._data / f"{REFUSES}-{self._name}").exists():
            raise PermissionError(f"the file {REFUSES}-{self._name} says no")
        if self._counts_down(FAILS):
            raise ValueError("a customer's words")
        if self._counts_down(LEAVES):
            raise asyncio.CancelledError
        if self._counts_down(DIES):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"toy": self._name}

    async def run(self) -> None:
        breaks = self._data / f"{BREAKS}-{self._name}"
        if breaks.exists():
            breaks.unlink()
            raise ValueError("a customer's words")
        self._tell("born")
        await self._over.wait()

    async def drain(self) -> None:
        self._tell("drained")
        self._over.set()

    async def stop(self) -> None:
        pass

    def status(self) -> dict[str, object]:
        hangs = self._data / f"{HANGS}-{self._name}"
        if hangs.exists():
            hangs.unlink()
            signal.pause()
        return {"name": self._name}

    def _counts_down(self, what: str) -> bool:
        file = self._data / f"{what}-{self._name}"
        left = int(file.read_text()) if file.exists() else 0
        if left:
            file.write_text(f"{left - 1}")
        return left > 0

    def _tell(self, what: str) -> None:
        fifo = self._data / NEWS
        if fifo.exists():
            file = os.open(fifo, os.O_WRONLY)
            os.write(file, f"{what} {self._name} {os.getpid()}\n".encode())
            os.close(file)


def build(name: str, settings: Settings, run: Path) -> Toy:
    """The `Build` of toys."""
    return Toy(name, Path(settings.data))
