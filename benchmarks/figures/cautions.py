"""Cautions: what makes a figure mean less than it seems to, though everything adds up.

They stand in `--json` and below the table; a run with one is a run all the same.
"""

from collections.abc import Sequence

from benchmarks.figures.lag import Lag
from benchmarks.figures.own_cpu import OTHERS_MAX, Own
from benchmarks.load.filling import Filled

PUBLISHED_PRELOAD = 2_000_000
"""Events in the stores before, for a figure that others are to read."""


def unfit(why: str) -> str:
    """Good enough to look at, and no more."""
    return f"not a figure to publish: {why}"


def of_machine(*, generator_is_the_limit: bool, others_cores: float | None) -> list[str]:
    """What makes figures lower than the server's own."""
    said: list[str] = []
    if generator_is_the_limit:
        said.append("The load generator was busy all the time: the server may be faster than this.")
    if others_cores is not None and others_cores > OTHERS_MAX:
        said.append(f"Others used {others_cores} cores meanwhile: the server is faster than this on a quiet machine.")
    return said


def of_relay(generator: Own) -> list[str]:
    """A relay that was held up by its load makes the server look good beside it."""
    if not generator.limits:
        return []
    return ["The load generator was busy all the time at the relay: the relay may be faster, and the ratio lower."]


def of_stores(lag: Lag | None, preloaded: int) -> list[str]:
    """Stores that are empty, or that never moved their logs into the file meanwhile, are faster than in use.

    Without `lag` nothing is known of them.
    """
    if lag is None:
        return []
    counted = (("journal", lag.journal_checkpoints), ("archive", lag.archive_checkpoints))
    without = [name for name, checkpoints in counted if not checkpoints]
    said = [unfit(f"the {name} made no checkpoint during the load, which --seconds may lengthen") for name in without]
    if not preloaded:
        said.append(unfit(f"the journal was empty before; --preload {PUBLISHED_PRELOAD} fills it"))
    return said


def of_filling(filled: Filled) -> list[str]:
    """Fewer conversations than were asked for, or fewer messages in them."""
    if filled.is_whole:
        return []
    asked = filled.filling
    had = f"{filled.conversations:,} of {asked.conversations:,} conversations, {filled.events:,} of {asked.events:,}"
    return [unfit(f"--seconds ended the filling at {had} messages")]


def of_kills(kills: int, asked: int) -> list[str]:
    """Fewer kills than were asked for."""
    return [] if kills == asked else [unfit(f"--seconds ended the run after {kills} of {asked} kills")]


def of_following(events: Sequence[int], asked: int) -> list[str]:
    """A journal, or a way through it, that ended before."""
    if min(events) == asked:
        return []
    came = ", ".join(f"{each:,}" for each in events)
    return [unfit(f"--seconds ended the journal and the ways through it at {came} of {asked:,} events")]
