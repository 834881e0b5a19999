"""Who shares a server is named, so that the tests of one server are handed out together."""

import pytest

from tests.sharing import OF_THE_SERVERS

SERVERS = ("server", "dedicated", "placed")
CONFTEST = "tests.conftest"


def test_every_file_of_the_sessions_servers_is_named(request: pytest.FixtureRequest) -> None:
    """Of all that were chosen with this test; one that is missing would have servers of its own."""
    asking = {item.nodeid.partition("::")[0] for item in request.session.items if _asks(item)}
    assert asking <= OF_THE_SERVERS


def test_every_file_that_is_named_is_there(pytestconfig: pytest.Config) -> None:
    """Else it was given another name, and is not named."""
    assert {name for name in OF_THE_SERVERS if not (pytestconfig.rootpath / name).exists()} == set()


def _asks(item: pytest.Item) -> bool:
    """Whether its servers are the session's, and not its module's own under that name."""
    fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    named = [fixtures[name][-1] for name in SERVERS if name in fixtures]
    return any(fixture.func.__module__ == CONFTEST for fixture in named)
