"""Hanging: who is ended for not answering, and who is not."""

from orchestrator.cluster.hanging import Hanging
from orchestrator.cluster.states import Condition, ProcessState

UP, SILENT = ProcessState(Condition.UP, 0), ProcessState(Condition.SILENT, 0)
STARTING = ProcessState(Condition.STARTING, 0)


def test_who_is_silent_for_so_many_looks_is_named_once() -> None:
    """Then the next life begins at nothing."""
    hanging = Hanging(3.0)
    looks = [hanging.look({"cell-0": SILENT, "journal": UP}, ["cell-0", "journal"]) for _ in range(5)]
    assert looks == [[], [], ["cell-0"], [], []]


def test_one_answer_in_time_is_enough() -> None:
    """A process that was stopped for ten seconds, and goes on, lives."""
    hanging = Hanging(3.0)
    told = [SILENT, SILENT, UP, SILENT, SILENT, STARTING, SILENT, SILENT]
    assert not any(hanging.look({"cell-0": state}, ["cell-0"]) for state in told)


def test_a_node_that_stood_still_itself_ends_nobody() -> None:
    """After an hour of its own, one look finds everybody silent, and the next hears them."""
    hanging = Hanging(60.0)
    assert hanging.look({"cell-0": ProcessState(Condition.SILENT, -3_600_000)}, ["cell-0"]) == []


def test_only_ours_are_ended_and_nobody_where_the_bound_is_none() -> None:
    """Ray's processes and the supervisor are only named."""
    assert Hanging(1.0).look({"raylet": SILENT}, ["cell-0"]) == []
    assert Hanging(0.0).look({"cell-0": SILENT}, ["cell-0"]) == []
