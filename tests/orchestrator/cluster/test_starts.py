"""When a process that does not start is given up."""

from orchestrator.cluster.starts import FAILED_STARTS_MAX, Starts


def test_one_that_never_served_is_given_up_after_its_last_try() -> None:
    """And not before; the others' failures are their own."""
    starts = Starts()
    starts.ended("journal")
    assert [starts.ended("cell-0") for _ in range(FAILED_STARTS_MAX)] == [False] * (FAILED_STARTS_MAX - 1) + [True]


def test_one_that_has_served_is_brought_back_for_ever() -> None:
    """However often it fails then."""
    starts = Starts()
    assert starts.served("cell-0")
    assert not any(starts.ended("cell-0") for _ in range(3 * FAILED_STARTS_MAX))
    assert not starts.served("cell-0"), "the second time is not the first"
