"""How many connections the system's bound on open files leaves room for, and who is told."""

import resource

import pytest

from orchestrator.cli.serve import say_how_many_connect
from orchestrator.settings import Http, Settings
from orchestrator.settings.open_files import RAISED_TO, allowed_now, allowed_to_come, connections_of, too_few

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("wanted", "files", "seats", "room"),
    [(10_000, 20_000, 16, 10_000), (10_000, 4096, 16, 3824), (10_000, 256, 16, 128), (9, 256, 16, 9), (10, 19, 0, 9)],
)
def test_some_files_are_kept_back(wanted: int, files: int, seats: int, room: int) -> None:
    """For the stores and the pipes; where there are few, half of them."""
    assert connections_of(wanted, files, seats) == room


@pytest.mark.parametrize(
    ("soft", "hard", "now", "to_come"),
    [
        (1024, 4096, 1024, 4096),
        (1024, 524_288, 1024, RAISED_TO),
        (100_000, 524_288, 100_000, 100_000),
        (256, UNLIMITED, 256, RAISED_TO),  # macOS's own.
        (UNLIMITED, UNLIMITED, RAISED_TO, RAISED_TO),
    ],
)
def test_the_limit_is_the_systems(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, now: int, to_come: int
) -> None:
    """Of this process, and of those that Ray starts from it."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, hard))
    assert (allowed_now(), allowed_to_come()) == (now, to_come)


def test_what_is_to_be_raised_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hard limit is high enough the soft one is what Ray raises no further: `ulimit -n` sets both."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 1_048_576))
    assert "(ulimit -n; LimitNOFILE of systemd)" in too_few(Settings(http=Http(connections_max=100_000)))


def test_serve_says_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With both numbers, and what to raise."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 4096))
    say_how_many_connect(Settings())
    said = " ".join(capsys.readouterr().err.split())
    assert "4096 open files: 3824 connections are taken, and not the 10000 of http.connections_max" in said
    say_how_many_connect(Settings(http=Http(connections_max=3000)))
    assert capsys.readouterr().err == ""
