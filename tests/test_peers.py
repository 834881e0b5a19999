"""A missing peer is seen: a skip with the way to get it, a failure where a whole run is claimed."""

import pytest

from tests.peers import require_peer


def test_a_missing_peer_skips_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a developer's machine."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing: `make peers`"):
        require_peer("no-such-program")


def test_a_missing_peer_fails_a_run_that_should_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `CI=true`."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        require_peer("no-such-program")


def test_a_peer_that_is_there_is_given_by_its_path() -> None:
    """`sh` is everywhere."""
    assert require_peer("sh").endswith("/sh")
