"""The yardstick, for real: a relay process and the load on it."""

import pytest

from benchmarks.inputs.traffic import Traffic
from benchmarks.load.pushing import Shape
from benchmarks.load.relay_load import load_relay


@pytest.mark.slow
async def test_the_relay_hands_everything_on() -> None:
    """What is sent comes back as answers and at agents, at some rate; the process is gone afterwards."""
    traffic = Traffic("run", customers=10, account="benchmark", text_bytes=40, began_ms=0)
    relayed = await load_relay(traffic, Shape(gateways=2, agents=3, window=32, batch=8), seconds=0.3)
    assert relayed.per_s > 100
    assert relayed.generator.cores > 0.01
