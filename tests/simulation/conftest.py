"""Fixtures of the simulation: its long runs begin as the test run does (see `tests.simulation.ahead`)."""

import pytest

from tests.sharing import AHEAD, is_one_of_many
from tests.simulation.ahead import Ahead
from tests.simulation.mutants.hunting import Caught
from tests.simulation.scenario import Run

_AHEAD = pytest.StashKey[Ahead]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins what the tests that were chosen need; where several processes share them, see `_begun`."""
    if not session.config.option.collectonly and not is_one_of_many(session.config):
        _begin(session)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leaves nothing behind."""
    if (ahead := session.config.stash.get(_AHEAD, None)) is not None:
        ahead.end()


def _begin(session: pytest.Session) -> None:
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if not AHEAD.isdisjoint(asked):
        session.config.stash[_AHEAD] = Ahead(asked)


@pytest.fixture(scope="session", autouse=True)
def _begun(request: pytest.FixtureRequest) -> None:
    """Where several processes share the run, the one that is given these tests begins before the first of them."""
    if is_one_of_many(request.config):
        _begin(request.session)


@pytest.fixture(scope="session")
def ended(pytestconfig: pytest.Config) -> list[Run]:
    """All runs."""
    return pytestconfig.stash[_AHEAD].runs()


@pytest.fixture(scope="session")
def caught(pytestconfig: pytest.Config) -> dict[tuple[str, str], Caught]:
    """All mutants, hunted, by name and placement."""
    return {(each.name, each.placement): each for each in pytestconfig.stash[_AHEAD].hunts()}


@pytest.fixture(scope="session")
def again(pytestconfig: pytest.Config) -> str:
    """The digests of the first runs, as one more process prints them."""
    return pytestconfig.stash[_AHEAD].again()
