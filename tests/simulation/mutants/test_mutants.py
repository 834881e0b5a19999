"""Each planted fault is caught within the suite's seeds: a mutant that survives means that a check is missing."""

import pytest

from tests.fitting import check_fits
from tests.simulation.mutants import table
from tests.simulation.mutants.hunting import SEEDS, Caught, hunts
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
MORE = {"sent_once", "one_version", "erased", "imported"}
"""Checks that have a name of their own."""
AGAIN = "`python -m tests.simulation.mutants --write` finds the seeds anew, and writes them there"


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_takes_what_it_stands_in_for(name: str) -> None:
    """Else it breaks on its own arguments as soon as it is called, and any check catches that: its fault would not be
    looked for."""
    MUTANTS[name].plant(check_fits)


@pytest.mark.parametrize(("name", "placement"), sorted(hunts()))
def test_the_fault_is_caught(caught: dict[tuple[str, str], Caught], name: str, placement: str) -> None:
    """By some promise."""
    assert caught[name, placement].seed is not None, f"{placement}: no seed of {SEEDS} sees it: {MUTANTS[name].fault}"


def test_every_promise_has_a_fault_that_breaks_it(caught: dict[tuple[str, str], Caught]) -> None:
    """Before any other: a promise whose checks see nothing would be missing here."""
    assert {each.promise for each in caught.values()} >= PROMISES | MORE


def test_the_seeds_are_of_the_mutants_there_are() -> None:
    """Kept for these alone."""
    assert len(MUTANTS) >= 16
    assert {(name, placement) for name, seeds in KNOWN.items() for placement in seeds} == set(hunts())
    assert all(0 <= seed < SEEDS for seeds in KNOWN.values() for seed in seeds.values())


def test_the_page_has_what_came_out(caught: dict[tuple[str, str], Caught]) -> None:
    """Each mutant, its fault, the seeds that caught it in this run and the promises that broke."""
    assert table.rows_in(table.PAGE.read_text()) == table.rows_of(caught.values()), AGAIN


def test_rows_are_written_beside_those_that_stay() -> None:
    """One that was hunted alone gets its row; those of mutants that are gone go, and the text around stays."""
    one, other = list(MUTANTS)[:2]
    old, gone = (f"| `{name}` | old | 7, once | 8, once |" for name in (other, "gone"))
    page = "\n".join(("before", "", *table.HEAD, old, gone, "", "after\n"))
    found = [Caught(one, "pooled", 3, "acked", "", 1), Caught(one, "dedicated", None, "", "", SEEDS)]
    row = f"| `{one}` | {MUTANTS[one].fault} | 3, acked | **survived** |"
    assert table.with_rows(page, found) == "\n".join(("before", "", *table.HEAD, row, old, "", "after\n"))
