"""Looking at a server as its operator does: `/readyz`, `/metrics`, `throughline status`; and at its memory."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
import psutil

from tests.live_server import LiveServer

LOOK_EVERY_S = 0.1
MIB = 1024 * 1024


class Operator:
    """Somebody with the operator's token."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._http = httpx.AsyncClient(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.operator_token}"},
            trust_env=False,
            timeout=5,
        )

    async def __aenter__(self) -> "Operator":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def reasons(self) -> list[str]:
        """Why it is not ready; none where it is. One line of ours where it does not answer."""
        try:
            answer = (await self._http.get("/readyz")).json()
        except httpx.TransportError:
            return ["the gateway does not answer"]
        return [] if answer["ready"] else list(answer["reasons"])

    async def until_said(self, *words: str, within_s: float) -> tuple[str, float]:
        """Waits for a reason with all these words; returns it, and how long it took."""
        began_s = time.monotonic()

        def found(reasons: list[str]) -> str:
            return next((line for line in reasons if all(word in line for word in words)), "")

        line = await self._until(found, within_s, f"no reason says {words}")
        return line, time.monotonic() - began_s

    async def until_well(self, *, within_s: float) -> float:
        """Waits until it is ready; returns how long that took."""
        began_s = time.monotonic()
        await self._until(lambda reasons: "" if reasons else "well", within_s, "it is not ready")
        return time.monotonic() - began_s

    async def metric(self, sample: str) -> float:
        """One sample of `/metrics`, by its name with its labels as they stand there. 0 where it is not."""
        text = (await self._http.get("/metrics")).text
        return next(
            (float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{sample} ")), 0.0
        )

    async def status(self) -> tuple[int, str]:
        """The exit code of `throughline status` on the server's own machine, and what it prints."""
        program = [sys.executable, "-m", "orchestrator.cli", "status", "--data", str(self._server.data)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
        done = await asyncio.to_thread(
            subprocess.run, program, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout

    async def _until(self, condition: Callable[[list[str]], str], within_s: float, otherwise: str) -> str:
        deadline_s = time.monotonic() + within_s
        while True:
            reasons = await self.reasons()
            if said := condition(reasons):
                return said
            if time.monotonic() > deadline_s:
                raise AssertionError(f"{otherwise} within {within_s:g} s, but: {reasons}")
            await asyncio.sleep(LOOK_EVERY_S)


def resident_mib(pid: int) -> float:
    """A process's memory."""
    return float(psutil.Process(pid).memory_info().rss) / MIB


def patience(seconds: float) -> float:
    """On a machine that does nothing else; one that does gets as much longer as its work queues."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
