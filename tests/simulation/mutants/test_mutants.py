"""Each planted fault is caught within the suite's seeds: a mutant that survives means that a check is missing."""

import pytest

from tests.simulation.mutants import table
from tests.simulation.mutants.hunting import SEEDS, Caught
from tests.simulation.mutants.known import KNOWN
from tests.simulation.mutants.planting import MUTANTS

PROMISES = {
    "acked",
    "once",
    "ordered",
    "committed_only",
    "one_writer",
    "no_gap",
    "context",
    "one_owner",
    "refused",
    "bounded",
}
"""The ten, as the checks name them."""
AGAIN = "`python -m tests.simulation.mutants --write` finds the seeds anew, and writes them there"


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_fault_is_caught(caught: dict[str, Caught], name: str) -> None:
    """By some promise."""
    assert caught[name].seed is not None, f"no seed of {SEEDS} sees it: {MUTANTS[name].fault}"


def test_every_promise_has_a_fault_that_breaks_it(caught: dict[str, Caught]) -> None:
    """Before any other: a promise whose checks see nothing would be missing here."""
    assert {each.promise for each in caught.values()} >= PROMISES


def test_the_seeds_are_of_the_mutants_there_are() -> None:
    """Kept for these alone."""
    assert set(KNOWN) == set(MUTANTS)
    assert len(MUTANTS) >= 16
    assert all(0 <= seed < SEEDS for seed in KNOWN.values())


def test_the_page_has_what_came_out(caught: dict[str, Caught]) -> None:
    """Each mutant, its fault, the seed that caught it in this run and the promise that broke."""
    assert table.rows_in(table.PAGE.read_text()) == {name: table.row_of(caught[name]) for name in MUTANTS}, AGAIN


def test_rows_are_written_beside_those_that_stay() -> None:
    """One that was hunted alone gets its row; those of mutants that are gone go, and the text around stays."""
    one, other = list(MUTANTS)[:2]
    page = "\n".join(
        ("before", "", *table.HEAD, f"| `{other}` | old | 7 | once |", "| `gone` | old | 8 | once |", "", "after\n")
    )
    row = table.row_of(found := Caught(one, 3, "acked", "", 1))
    assert table.with_rows(page, [found]) == "\n".join(
        ("before", "", *table.HEAD, row, f"| `{other}` | old | 7 | once |", "", "after\n")
    )
