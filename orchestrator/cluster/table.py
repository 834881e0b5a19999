"""The table of processes: which actor lives where, in which order they drain, and how politely each runs."""

import os

from msgspec import Struct

from orchestrator.settings import Settings


class Process(Struct, frozen=True):
    """One process of the server: a Ray actor of this name."""

    name: str
    """`journal`, `archive`, `cell-0` …, `usher`, `gateway`, `channels`; `ps` shows it as `ray::journal.run`."""
    drain_order: int
    """Who drains first: what takes input in, then who decides, then who writes, then who follows."""
    nice: int = 0
    """Added to the process's niceness."""


CORES_PER_CELL = 2
"""A cell that is busy keeps the journal and the gateway beside it about as busy together."""

ARCHIVE_NICE = 10
"""The archive is behind by design; whenever cores are short, those that someone waits for go first."""


USHER = "usher"
"""Says which customer sits in which cell, where each has one of its own."""


def processes(settings: Settings) -> list[Process]:
    """The processes of one machine's server; in dedicated placement cells beyond these come and go."""
    return [
        Process("journal", drain_order=2),
        Process("archive", drain_order=3, nice=ARCHIVE_NICE),
        *([Process(USHER, drain_order=1)] if settings.placement == "dedicated" else []),
        *map(cell_process, range(cells_of(settings))),
        Process("channels", drain_order=0),
        Process("gateway", drain_order=0),
    ]


def cell_process(index: int) -> Process:
    """A cell's row of the table."""
    return Process(cell_name(index), drain_order=1)


def cells_of(settings: Settings) -> int:
    """How many cells there are from the start: as set, else one for every two cores; dedicated, the pool kept warm."""
    if settings.placement == "dedicated":
        return min(settings.limits.dedicated_warm, settings.limits.dedicated_max)
    return settings.cells or max(1, (os.cpu_count() or 1) // CORES_PER_CELL)


def cell_name(index: int) -> str:
    """A cell's process."""
    return f"cell-{index}"


def cell_index(name: str) -> int | None:
    """The number of the cell that `name` names; None for the other processes."""
    prefix, _, number = name.partition("-")
    return int(number) if prefix == "cell" and number.isdigit() else None
