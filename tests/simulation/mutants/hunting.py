"""Hunting: seeds in order, the known one first, until a planted fault breaks a promise."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.mutants import (
    of_cells,
    of_deliveries,
    of_erasures,
    of_gateways,
    of_handoffs,
    of_imports,
    of_many_gateways,
    of_merges,
    of_quarantine,
    of_reports,
    of_retention,
    of_stores,
)
from tests.simulation.mutants.known import KNOWN
from tests.simulation.mutants.planting import MUTANTS, planted
from tests.simulation.scenario import run

ALL = (
    of_stores,
    of_retention,
    of_cells,
    of_gateways,
    of_many_gateways,
    of_deliveries,
    of_reports,
    of_handoffs,
    of_merges,
    of_quarantine,
    of_imports,
    of_erasures,
)
"""Imported, they have written their mutants down."""
SEEDS = 500


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of one mutant under one placement."""

    name: str
    placement: str
    seed: int | None
    promise: str
    text: str
    tried: int


def hunts(names: Iterable[str] = MUTANTS) -> list[tuple[str, str]]:
    """(mutant, placement) of all that is hunted."""
    return [(name, placement) for name in names for placement in MUTANTS[name].placements]


def hunt(name: str, placement: str, *, seeds: Iterable[int] | None = None) -> Caught:
    """Runs seeds with the fault planted until a promise breaks."""
    known = [KNOWN[name][placement]] if placement in KNOWN.get(name, {}) else []
    tried = 0
    for seed in seeds if seeds is not None else [*known, *range(SEEDS)]:
        tried += 1
        with planted(name):
            ended = run(seed, placement=placement)
        if ended.failures:
            first = ended.failures[0]
            return Caught(name, placement, seed, first.promise, first.text, tried)
    return Caught(name, placement, None, "", "", tried)


def hunted(work: tuple[str, str, bool]) -> Caught:
    """For a pool: one mutant under one placement, from seed 0 where it is to be found anew."""
    name, placement, anew = work
    return hunt(name, placement, seeds=range(SEEDS) if anew else None)
