"""What does not work, in words for an operator, at `/readyz`, `/metrics` and `/v1/status`, and what is refused then."""

import pytest

from orchestrator.cluster.states import Condition, ProcessState, steady_ms
from orchestrator.gateway.health.troubles import (
    HELD_MS_MAX,
    LOOK_EVERY_MS,
    TURN_MS_MAX,
    TURNED_AWAY_AFTER_MS,
    Writing,
    troubles_of_journal,
    troubles_of_processes,
)
from tests.orchestrator.gateway.conftest import Start

FULL = "journal.sqlite: database or disk is full; make room on its disk, and it goes on by itself"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (ProcessState(Condition.UP, 0, 3, FULL), None),
        (ProcessState(Condition.STARTING, 5_000), "journal: starting for 7 s"),
        (ProcessState(Condition.STARTING, 0, 1, FULL), f"journal: restarting for 12 s, after 1 end; the last: {FULL}"),
        (ProcessState(Condition.STARTING, 0, 4, "x"), "journal: restarting for 12 s, after 4 ends; the last: x"),
        (
            ProcessState(Condition.SILENT, 5_000),
            "journal: not answering for 7 s: it hangs or was stopped; its log is log/journal.log",
        ),
    ],
)
def test_a_process_that_is_not_up_is_named(state: ProcessState, line: str | None) -> None:
    """What, since when, why, where to look."""
    assert troubles_of_processes({"journal": state}, 12_345) == ([line] if line else [])


def test_a_journal_that_is_up_and_does_not_write_is_named() -> None:
    """A disk that hangs, an archive that is too far behind."""
    assert troubles_of_journal({}) == []
    assert troubles_of_journal({"journal": {"turn_ms": TURN_MS_MAX, "held_ms": HELD_MS_MAX}}) == []
    slow, held = troubles_of_journal({"journal": {"turn_ms": 7_900, "held_ms": 8_100}})
    assert "under way for 7 s: the data folder's disk hangs" in slow
    assert "waited for 8 s until the archive is less than limits.archive_lag_max behind" in held


@pytest.mark.parametrize(
    ("condition", "for_ms", "turn_ms", "possible"),
    [
        (Condition.UP, 0, 0, True),
        (Condition.STARTING, TURNED_AWAY_AFTER_MS - 1_000, 0, True),
        (Condition.STARTING, TURNED_AWAY_AFTER_MS + 1_000, 0, False),
        (Condition.SILENT, TURNED_AWAY_AFTER_MS + 1_000, 0, False),
        (Condition.UP, 0, TURN_MS_MAX + 1, False),
    ],
)
def test_what_cannot_be_written_is_turned_away(condition: Condition, for_ms: int, turn_ms: int, possible: bool) -> None:
    """Not while a restart may end in a moment."""
    state = ProcessState(condition, steady_ms() - for_ms)
    writing = Writing(lambda: {"journal": state}, lambda: {"journal": {"turn_ms": turn_ms}})
    assert writing() is possible


def test_it_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for each of ten thousand events a second."""
    now_ms, looks = 10_000, 0

    def states() -> dict[str, ProcessState]:
        nonlocal looks
        looks += 1
        return {}

    monkeypatch.setattr("orchestrator.gateway.health.troubles.steady_ms", lambda: now_ms)
    writing = Writing(states, dict)
    assert [writing() for _ in range(100)] == [True] * 100
    assert looks == 1
    now_ms += LOOK_EVERY_MS
    assert writing()
    assert looks == 2


async def test_the_same_is_told_at_every_place(start: Start) -> None:
    """Readiness, metrics and status; to the public only that it is so."""

    def states() -> dict[str, ProcessState]:
        # Counted from each asking: the test says the same however slow its machine is.
        return {
            "journal": ProcessState(Condition.UP, steady_ms()),
            "archive": ProcessState(Condition.SILENT, steady_ms() - 7_500, 2, "killed"),
        }

    running = await start(states=states)
    line = "archive: not answering for 7 s: it hangs or was stopped; its log is log/archive.log"
    async with running.http("operator") as http:
        ready = await http.get("/readyz")
        status = (await http.get("/v1/status")).json()
        metrics = (await http.get("/metrics")).text.splitlines()
    assert (ready.status_code, ready.json()["reasons"]) == (503, [line])
    assert (status["ready"], status["reasons"]) == (False, [line])
    assert status["processes"]["archive"] == {"condition": "silent", "seconds": 7, "deaths": 2, "reason": "killed"}
    assert "throughline_ready 0.0" in metrics
    assert 'throughline_process_up{process="archive"} 0.0' in metrics
    assert 'throughline_process_up{process="journal"} 1.0' in metrics
    assert 'throughline_process_deaths_total{process="archive"} 2.0' in metrics
    async with running.http() as http:
        assert (await http.get("/readyz")).json() == {"ready": False, "reasons": []}


async def test_status_answers_where_the_stores_do_not(start: Start) -> None:
    """It is asked for just then."""
    running = await start()
    running.archive.fail = OSError("gone")
    async with running.http("operator") as http:
        status = (await http.get("/v1/status")).json()
        assert (await http.get("/metrics")).status_code == 200
    assert status["archive_position"] is None
    assert "the archive cannot be read" in status["reasons"]
