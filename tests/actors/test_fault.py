"""Faults: what nobody awaits ends its actor where it breaks, and is held until it is over."""

import asyncio
import gc

import pytest

from actors.fault import Fault, Tasks


async def _fails(exc: BaseException) -> None:
    raise exc


async def _waits() -> None:
    await asyncio.Event().wait()


async def test_what_a_task_raises_is_the_fault() -> None:
    """Whoever runs the actor raises it; only the first counts."""
    fault, first = Fault(), ValueError("first")
    tasks = Tasks(fault.set)
    tasks.begin(_fails(first))
    tasks.begin(_fails(ValueError("second")))
    with pytest.raises(ValueError, match="first"):
        async with asyncio.timeout(5):
            await fault.raised()


async def test_a_task_that_is_cancelled_breaks_nothing() -> None:
    """It is over when its owner stops."""
    bugs: list[Exception] = []
    tasks = Tasks(bugs.append)
    task = tasks.begin(_waits())
    await tasks.cancel()
    assert (task.cancelled(), bugs) == (True, [])


async def test_tasks_are_held_until_they_are_over() -> None:
    """The loop alone would let the collector take one that nothing else refers to."""
    done: list[str] = []
    tasks = Tasks(_nothing)

    async def work() -> None:
        # Nothing but the task refers to what it waits for.
        await asyncio.get_running_loop().create_future()

    async def waits() -> None:
        try:
            await work()
        except GeneratorExit:
            done.append("collected")
            raise
        done.append("cancelled")

    tasks.begin(waits())
    await asyncio.sleep(0)
    gc.collect()
    assert done == []
    await tasks.cancel()


def _nothing(exc: Exception) -> None:
    """No bug is met."""
    raise exc
