"""Fixtures of the simulation: its long runs begin as the test run does (see `tests.simulation.ahead`)."""

import pytest

from tests.sharing import is_one_of_many
from tests.simulation.ahead import Ahead
from tests.simulation.mutants.hunting import Caught
from tests.simulation.scenario import Run

_AHEAD = pytest.StashKey[Ahead]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins what the tests that were chosen need. Where several processes share them, the one that is given these does
    so when it gets to them, which is at once."""
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if not session.config.option.collectonly and asked & {"ended", "caught"} and not is_one_of_many(session.config):
        session.config.stash[_AHEAD] = Ahead(asked)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leaves nothing behind."""
    if (ahead := session.config.stash.get(_AHEAD, None)) is not None:
        ahead.end()


def _ahead(config: pytest.Config) -> Ahead:
    if _AHEAD not in config.stash:
        config.stash[_AHEAD] = Ahead({"ended", "caught"})
    return config.stash[_AHEAD]


@pytest.fixture(scope="session")
def ended(pytestconfig: pytest.Config) -> list[Run]:
    """All runs."""
    return _ahead(pytestconfig).runs()


@pytest.fixture(scope="session")
def caught(pytestconfig: pytest.Config) -> dict[tuple[str, str], Caught]:
    """All mutants, hunted, by name and placement."""
    return {(each.name, each.placement): each for each in _ahead(pytestconfig).hunts()}
