"""Fixtures that many tests share: one real server for the whole run, since Ray's start and stop cost seconds."""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from itertools import cycle
from logging.handlers import RotatingFileHandler
from pkgutil import resolve_name
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests.faults.victim import SEATS, Victim
from tests.fitting import check_fits
from tests.lingering import Lingering
from tests.live_server import LiveServer
from tests.people import Customer
from tests.sharing import Sharing, is_one_of_many, longest_first

# The same examples in every run, so that a run says the same about the same code; HYPOTHESIS_PROFILE=nightly looks for
# new ones. No deadline: machines that run this are shared.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is shown of one placement can be shown of the other."""
    parser.addoption(
        "--placement",
        choices=("pooled", "dedicated"),
        default="pooled",
        help="Placement of the server that the live tests share, and of those that faults have for themselves.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """A run ends even where a test forgot to close what it opened."""
    config.pluginmanager.register(Lingering())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One of the test processes gets what computes, the others begin with the rest."""
    if is_one_of_many(config):
        items[:] = longest_first(items)


def pytest_collection_finish() -> None:
    """All tests and modules stay to the end: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """See `tests.sharing`."""
    return Sharing(config, log)


class _Fitting(pytest.MonkeyPatch):  # type: ignore[misc]  # Final for plugins; what tests patch is their own affair.
    """Puts in a function's place only what can be called as that is (see `tests.fitting`)."""

    def setattr(self, target: Any, *name_and_value: Any, raising: bool = True) -> None:
        owner, *rest = (target, *name_and_value)
        if len(rest) == 1:  # What is patched is named by its path.
            path, _, attribute = target.rpartition(".")
            owner, rest = resolve_name(path), [attribute, *rest]
        check_fits(owner, *rest)
        super().setattr(owner, str(rest[0]), rest[1], raising=raising)


@pytest.fixture
def monkeypatch() -> Iterator[pytest.MonkeyPatch]:
    """Pytest's own, but that a fake has to fit."""
    patching = _Fitting()
    yield patching
    patching.undo()


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    """What a test runs may send this process's logs to a file, as a server's process does: not those of the next."""
    root, config = logging.getLogger(), structlog.get_config()
    level = root.level
    yield
    for handler in [each for each in root.handlers if isinstance(each, RotatingFileHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for package in ("orchestrator", "actors", "adapters"):
        logging.getLogger(package).setLevel(logging.NOTSET)
    structlog.configure(**config)


@pytest.fixture(scope="session")
def dedicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One with a process for each live customer, for the tests that need it; it has few seats."""
    live = Victim(tmp_path_factory.mktemp("dedicated"), placement="dedicated")
    live.start()
    yield live
    assert live.stop() == 0


@pytest.fixture(params=["pooled", "dedicated"])
def placed(request: pytest.FixtureRequest, placement: str) -> LiveServer:
    """Each of the two: what such a test shows holds under both placements."""
    if request.param == "pooled" != placement:
        pytest.skip(f"this run's servers are {placement}")
    server: LiveServer = request.getfixturevalue("server" if request.param == "pooled" else "dedicated")
    return server


@pytest.fixture(scope="session")
def placement(pytestconfig: pytest.Config) -> str:
    """`pooled`, where the run's options say nothing else."""
    return str(pytestconfig.getoption("--placement"))


@pytest.fixture
def somebody(placement: str) -> Callable[[], Customer]:
    """Each call has a customer: somebody new, but where each takes a seat one of a few, in turn."""
    if placement == "pooled":
        return Customer
    # One seat is left to whoever else the test has.
    return cycle([Customer() for _ in range(SEATS - 1)]).__next__


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, placement: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server on Ray that all tests of the run share; tests make customers of their own, and leave it serving."""
    if placement == "dedicated":
        yield request.getfixturevalue("dedicated")
        return
    live = LiveServer(tmp_path_factory.mktemp("server"))
    live.start()
    yield live
    assert live.stop() == 0
