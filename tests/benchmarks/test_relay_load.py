"""The yardstick, for real: a relay process and the load on it."""

import pytest

from benchmarks.pushing import Shape
from benchmarks.relay_load import relay_rate
from benchmarks.traffic import Traffic


@pytest.mark.slow
async def test_the_relay_hands_everything_on() -> None:
    """What is sent comes back as answers and at agents, at some rate; the process is gone afterwards."""
    traffic = Traffic("run", customers=10, account="benchmark", text_bytes=40, began_ms=0)
    assert await relay_rate(traffic, Shape(gateways=2, agents=3, window=32, batch=8), seconds=0.3) > 100
