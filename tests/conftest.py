"""Fixtures that many tests share: one real server for the whole run, since Ray's start and stop cost seconds."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.faults.victim import Victim
from tests.lingering import Lingering
from tests.live_server import LiveServer

# The same examples in every run, so that a run says the same about the same code; HYPOTHESIS_PROFILE=nightly looks for
# new ones. No deadline: machines that run this are shared.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure(config: pytest.Config) -> None:
    """A run ends even where a test forgot to close what it opened."""
    config.pluginmanager.register(Lingering())


@pytest.fixture(scope="session")
def dedicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One with a process for each live customer, for the tests that need it; it has few seats."""
    live = Victim(tmp_path_factory.mktemp("dedicated"), placement="dedicated")
    live.start()
    yield live
    assert live.stop() == 0


@pytest.fixture(params=["pooled", "dedicated"])
def placed(request: pytest.FixtureRequest) -> LiveServer:
    """Each of the two: what such a test shows holds under both placements."""
    server: LiveServer = request.getfixturevalue("server" if request.param == "pooled" else "dedicated")
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server on Ray that all tests of the run share; tests make customers of their own, and leave it serving."""
    live = LiveServer(tmp_path_factory.mktemp("server"))
    live.start()
    yield live
    assert live.stop() == 0
