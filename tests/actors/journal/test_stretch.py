"""A stretch of work tells how long it lasts, and how long it did last time."""

import asyncio
from unittest.mock import patch

from actors.journal.stretch import Stretch


async def test_a_stretch_tells_its_time_while_it_lasts_and_afterwards() -> None:
    """By the loop's clock; what is begun again meanwhile began before."""
    work = Stretch()
    with patch.object(asyncio.get_running_loop(), "time") as time:
        time.return_value = 10.0
        work.begin()
        time.return_value = 10.25
        work.begin()
        assert (work.so_far_ms, work.last_ms) == (250, 0)
        time.return_value = 10.5
        work.end()
        time.return_value = 99.0
        assert (work.so_far_ms, work.last_ms) == (0, 500)
