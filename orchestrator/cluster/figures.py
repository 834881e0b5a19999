"""Figures and states: what every process counts and how it is, gathered by the node into two files of the run folder,
where the gateway finds them.

The gateway could ask the others over pipes of its own; a file that is a second old costs none of them a line, and a
process that is down or hangs cannot keep the others from being heard.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.cluster.hosts import NotServing
from orchestrator.cluster.run_folder import write_figures
from orchestrator.cluster.states import States, Told, steady_ms, write_states

EVERY_S = 1.0
"""A scrape comes every 15 s or so; a round costs each process one small call."""
WITHIN_S = 1.0
"""A process that does not answer by then is left out of the round."""


Asking = Callable[[], Awaitable[dict[str, Any]]]
"""Asks one process for its figures. Raises `NotServing` where it is down, `TimeoutError` where it hangs."""


async def publish(run: Path, processes: Callable[[], Mapping[str, Asking]], states: States) -> None:
    """Asks all processes that there are again and again, and leaves what they say, and how they are, in `run`."""
    while True:
        ask = processes()
        answers = await asyncio.gather(*(_answer(one) for one in ask.values()))
        said = {name: answer for name, answer in zip(ask, answers, strict=True) if answer is not None}
        for name in said:
            states.answered(name, steady_ms())
        # On a full disk the scrape goes without the newest; the server has worse to do then than to end for that.
        with contextlib.suppress(OSError):
            write_figures(run, {name: answer for name, answer in said.items() if answer})
            write_states(run, Told(steady_ms(), states.at(steady_ms())))
        await asyncio.sleep(EVERY_S)


async def _answer(ask: Asking) -> dict[str, Any] | None:
    """None from one that is dead, starting or hung."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await ask()
    except (NotServing, TimeoutError):
        return None
