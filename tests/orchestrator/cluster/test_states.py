"""How a process is, as its node notes it: what is wrong, since when, and whether the node itself still tells."""

from pathlib import Path

import pytest

from orchestrator.cluster.states import (
    SILENT_AFTER_MS,
    STALE_AFTER_MS,
    STEADY_MS,
    Condition,
    ProcessState,
    States,
    Told,
    read_states,
    write_states,
)

FULL = "journal.sqlite: database or disk is full"


@pytest.fixture
def states() -> States:
    """One process, noted from 0 on."""
    return States(["journal"], now_ms=0)


def test_a_process_starts_and_is_up(states: States) -> None:
    """Each since it is so."""
    assert states.at(700)["journal"] == ProcessState(Condition.STARTING, 0)
    states.up("journal", 1_000)
    assert states.at(1_500)["journal"] == ProcessState(Condition.UP, 1_000)


def test_one_that_does_not_answer_is_silent_since_its_last_answer(states: States) -> None:
    """And up again with the next."""
    states.up("journal", 0)
    states.answered("journal", 2_000)
    assert states.at(2_000 + SILENT_AFTER_MS)["journal"].condition is Condition.UP
    assert states.at(2_001 + SILENT_AFTER_MS)["journal"] == ProcessState(Condition.SILENT, 2_000)
    states.answered("journal", 9_000)
    assert states.at(9_001)["journal"] == ProcessState(Condition.UP, 0)


def test_one_that_breaks_again_and_again_is_in_one_trouble(states: States) -> None:
    """Since the first of its ends, however often it was up for a moment."""
    states.up("journal", 0)
    states.ended("journal", FULL, 20_000)
    states.up("journal", 22_000)
    states.ended("journal", FULL, 22_500)
    assert states.at(25_000)["journal"] == ProcessState(Condition.STARTING, 20_000, 2, FULL)


def test_one_that_was_well_meanwhile_is_in_a_new_trouble(states: States) -> None:
    """Since its newest end."""
    states.ended("journal", FULL, 1_000)
    states.up("journal", 2_000)
    states.ended("journal", "killed", 2_000 + STEADY_MS)
    assert states.at(99_000)["journal"] == ProcessState(Condition.STARTING, 2_000 + STEADY_MS, 2, "killed")


def test_a_node_that_does_not_tell_is_silent_itself(tmp_path: Path) -> None:
    """The others are as it last knew them; a server in one process has nobody who tells."""
    up = {"journal": ProcessState(Condition.UP, 5)}
    assert read_states(tmp_path, now_ms=0) == {}
    write_states(tmp_path, Told(1_000, up))
    assert read_states(tmp_path, now_ms=1_000 + STALE_AFTER_MS) == up
    stale = read_states(tmp_path, now_ms=1_001 + STALE_AFTER_MS)
    assert stale == {"node": ProcessState(Condition.SILENT, 1_000), **up}
