"""Hunting: seeds in order, the known one first, until a planted fault breaks a promise."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.mutants import of_cells, of_gateways, of_handoffs, of_merges, of_stores
from tests.simulation.mutants.known import KNOWN
from tests.simulation.mutants.planting import planted
from tests.simulation.scenario import run

ALL = (of_stores, of_cells, of_gateways, of_handoffs, of_merges)
"""Imported, they have written their mutants down."""
SEEDS = 500
PLACEMENT = "pooled"


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of one mutant."""

    name: str
    seed: int | None
    promise: str
    text: str
    tried: int


def hunt(name: str, *, seeds: Iterable[int] | None = None) -> Caught:
    """Runs seeds with the fault planted until a promise breaks."""
    known = [KNOWN[name]] if name in KNOWN else []
    tried = 0
    for seed in seeds if seeds is not None else [*known, *range(SEEDS)]:
        tried += 1
        with planted(name):
            ended = run(seed, placement=PLACEMENT)
        if ended.failures:
            first = ended.failures[0]
            return Caught(name, seed, first.promise, first.text, tried)
    return Caught(name, None, "", "", tried)


def hunted(work: tuple[str, bool]) -> Caught:
    """For a pool: one mutant, from seed 0 where it is to be found anew."""
    name, anew = work
    return hunt(name, seeds=range(SEEDS) if anew else None)
