"""Each planted fault is caught within the suite's seeds: a mutant that survives means that a check is missing."""

import re
from pathlib import Path

import pytest

from tests.simulation.mutants.hunting import SEEDS, Caught
from tests.simulation.mutants.known import KNOWN
from tests.simulation.mutants.planting import MUTANTS

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_fault_is_caught(caught: dict[str, Caught], name: str) -> None:
    """By some promise."""
    assert caught[name].seed is not None, f"no seed of {SEEDS} sees it: {MUTANTS[name].fault}"


def test_the_table_is_of_the_mutants_there_are() -> None:
    """Seeds are kept for these alone; `python -m tests.simulation.mutants --write` brings it up to date."""
    assert set(KNOWN) == set(MUTANTS)
    assert len(MUTANTS) >= 16
    assert all(0 <= seed < SEEDS for seed in KNOWN.values())


def test_the_page_has_the_same_table() -> None:
    """Each mutant, its fault and its seed."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (\d+) \| \w+ \|$", PAGE.read_text(), re.MULTILINE)
    assert {name: (fault, int(seed)) for name, fault, seed in rows} == {
        name: (each.fault, KNOWN[name]) for name, each in MUTANTS.items()
    }
