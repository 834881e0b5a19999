"""The node as its supervisor holds it: a child process, the pipe to it, and what it says."""

import asyncio
import os
import sys
from pathlib import Path
from typing import assert_never

import msgspec
import structlog

import orchestrator
from orchestrator.cluster.leftovers import MARK_VARIABLE
from orchestrator.cluster.ray_environment import ray_environment
from orchestrator.cluster.said import Died, Gone, Hopeless, Ready, Said, Up

_log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder(Said).decode


class NodeProcess:
    """One node, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.ready = asyncio.Event()
        """Set when all its processes serve."""
        self.hopeless = ""
        """Why it cannot start, in words for the operator, where it said so."""
        self.facts: dict[str, dict[str, str | int]] = {}
        """By process: its `pid`, and what its part says; up to date."""
        self.vital: dict[str, int] = {}
        self.deaths: dict[str, int] = {}
        self._ended = asyncio.create_task(self._hear(), name="node")

    @classmethod
    async def start(cls, run: Path, mark: str, build: str, *, errors: Path) -> "NodeProcess":
        """Starts one. Its and Ray's complaints go to the file `errors`, made anew."""
        with errors.open("wb") as stderr:
            return cls(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "orchestrator.cluster.node", str(run), build),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env=_environment(mark, run),
                    # A terminal's Ctrl-C goes to its whole foreground group; who stops when is the supervisor's to say.
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        """The node's own."""
        return self._process.pid

    async def ended(self) -> int:
        """Waits for the end; the exit code (negative: the signal)."""
        return await asyncio.shield(self._ended)

    def drain(self) -> None:
        """Asks it to drain and end."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"drain\n")

    async def _hear(self) -> int:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(_decode(line))
        return await self._process.wait()

    def _take(self, said: Said) -> None:
        match said:
            case Up():
                self.facts[said.process] = said.facts
            case Ready():
                self.vital = said.vital
                self.ready.set()
            case Died():
                self.facts.pop(said.process, None)
                self.deaths[said.process] = said.deaths
                _log.warning("supervisor.process_died", name=said.process, reason=said.reason, deaths=said.deaths)
            case Gone():
                self.facts.pop(said.process, None)
            case Hopeless():
                self.hopeless = said.reason
            case _:
                assert_never(said)


def _environment(mark: str, run: Path) -> dict[str, str]:
    """Ours, with the mark, and with our packages where its processes look for them, wherever we were started."""
    packages = str(Path(orchestrator.__file__).parents[1])
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != packages]
    inherited = dict(os.environ) | {MARK_VARIABLE: mark, "PYTHONPATH": os.pathsep.join([packages, *known])}
    return ray_environment(inherited, run)
