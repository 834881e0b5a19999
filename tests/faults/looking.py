"""Looking at a server as its operator does: `/readyz`, `/metrics`, `throughline status`."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from math import inf
from types import MappingProxyType

import httpx

from tests.faults.others import patience
from tests.live_server import LiveServer

LOOK_EVERY_S = 0.1
SHOWN_S = 8.0
"""From a fault to its line in every place: silent after 3 s, asked every 2, told every 2."""
READY = "throughline_ready"
WRONG = "✗ "

Bounds = tuple[float, float]
"""The least and the most that a figure may be."""
Figures = Mapping[str, Bounds]
NO_FIGURES: Figures = MappingProxyType({})


def exactly(value: float) -> Bounds:
    """That and nothing else."""
    return value, value


def at_least(value: float) -> Bounds:
    """That or more."""
    return value, inf


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

    async def until_said(self, trouble: str, *, within_s: float) -> str:
        """Waits for a reason that matches this pattern; returns it."""

        def found(reasons: list[str]) -> str:
            return next((line for line in reasons if re.search(trouble, line)), "")

        return await self._until(found, within_s, f"no reason says {trouble!r}")

    async def until_well(self, *, within_s: float) -> None:
        """Waits until it is ready."""
        await self._until(lambda reasons: "" if reasons else "well", within_s, "it is not ready")

    async def shows(
        self, *troubles: str, metrics: Figures = NO_FIGURES, status: Figures = NO_FIGURES, within_s: float = SHOWN_S
    ) -> None:
        """The state is clear in all three places, at once or soon: each of these troubles (patterns), or none where the
        server is well; each of these samples of `/metrics`, and each of these figures of `throughline status`, within
        its bounds. Raises `AssertionError` with what a place said last."""
        ready = 0.0 if troubles else 1.0
        told = {READY: (ready, ready), **metrics}
        await asyncio.gather(
            self._until(lambda reasons: _fits(troubles, reasons), within_s, f"/readyz does not say {troubles}"),
            self._until_right(partial(self._metrics_are, told), within_s),
            self._until_right(partial(self._status_is, troubles, status), within_s),
        )

    async def _metrics_are(self, told: Figures) -> str:
        found = {sample: await self.metric(sample) for sample in told}
        wrong = {sample: value for sample, value in found.items() if not _between(value, told[sample])}
        return f"/metrics has {wrong}, not {told}" if wrong else ""

    async def _status_is(self, troubles: Sequence[str], told: Figures) -> str:
        code, shown = await self.status()
        lines = [line.removeprefix(WRONG) for line in shown.splitlines() if line.startswith(WRONG)]
        figures = dict(line.split()[:2] for line in shown.splitlines() if len(line.split()) == 2)
        well = code == (1 if troubles else 0) and _fits(troubles, lines)
        if well and all(_between(float(figures.get(name, "nan")), bounds) for name, bounds in told.items()):
            return ""
        return f"`throughline status` ends with {code}, has no {troubles} or not {told}: {shown}"

    async def _until_right(self, wrong: Callable[[], Awaitable[str]], within_s: float) -> None:
        began_s = time.monotonic()
        while said := await wrong():
            assert time.monotonic() - began_s < patience(within_s), said
            await asyncio.sleep(LOOK_EVERY_S)

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
        began_s = time.monotonic()
        while True:
            reasons = await self.reasons()
            if said := condition(reasons):
                return said
            if time.monotonic() - began_s > patience(within_s):
                raise AssertionError(f"{otherwise} within {within_s:g} s, but: {reasons}")
            await asyncio.sleep(LOOK_EVERY_S)


def _fits(troubles: Sequence[str], lines: Sequence[str]) -> str:
    """Something where each trouble is among the lines; where there are none, no line may be."""
    if not troubles:
        return "" if lines else "well"
    return "said" if all(any(re.search(trouble, line) for line in lines) for trouble in troubles) else ""


def _between(value: float, bounds: Bounds) -> bool:
    return bounds[0] <= value <= bounds[1]
