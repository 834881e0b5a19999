"""Figures: what every process counts, gathered by the node into one file of the run folder, where the gateway finds it.

The gateway could ask the others over pipes of its own; a file that is a second old costs none of them a line, and a
process that is down is simply not in it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from ray.exceptions import RayError

from orchestrator.cluster.run_folder import write_figures

EVERY_S = 1.0
"""A scrape comes every 15 s or so; a round costs each process one small call."""
WITHIN_S = 1.0
"""A process that does not answer by then is left out of the round."""


async def publish(run: Path, ask: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]) -> None:
    """Asks all processes again and again, and leaves what they say in `run`. `ask` may raise `RayError`."""
    while True:
        answers = await asyncio.gather(*(_answer(one) for one in ask.values()))
        # On a full disk the scrape goes without the newest; the server has worse to do then than to end for that.
        with contextlib.suppress(OSError):
            write_figures(run, {name: answer for name, answer in zip(ask, answers, strict=True) if answer})
        await asyncio.sleep(EVERY_S)


async def _answer(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Nothing from one that is dead, starting or hung."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await ask()
    except (RayError, TimeoutError):
        return {}
