"""Fixtures that many tests share: one real server for the whole run, since Ray's start and stop cost seconds."""

from collections.abc import Iterator

import pytest

from tests.lingering import Lingering
from tests.live_server import LiveServer


def pytest_configure(config: pytest.Config) -> None:
    """A run ends even where a test forgot to close what it opened."""
    config.pluginmanager.register(Lingering())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server on Ray that all tests of the run share; tests make customers of their own, and leave it serving."""
    live = LiveServer(tmp_path_factory.mktemp("server"))
    live.start()
    yield live
    assert live.stop() == 0
