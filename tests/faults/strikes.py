"""Strikes: who is killed, when, and how, drawn from a seed.

The draw is the same for the same seed; where a process stands when its kill comes is the machine's to say, so a seed
replays the order and the moments, and not every instruction between them.
"""

import random
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct


class Target(StrEnum):
    """What a kill ends."""

    CELL = "cell"
    JOURNAL = "journal"
    ARCHIVE = "archive"
    GATEWAY = "gateway"
    CHANNELS = "channels"
    RAYLET = "raylet"
    GCS = "gcs"
    SUPERVISOR = "supervisor"
    """The process the operator started, alone: everything below must end by itself. Then a new start."""
    EVERYTHING = "everything"
    """All processes at once, as a power cut does. Then a new start."""


ACTORS = (Target.CELL, Target.JOURNAL, Target.ARCHIVE, Target.GATEWAY, Target.CHANNELS)
RESTARTED = (Target.SUPERVISOR, Target.EVERYTHING)
"""After these nobody is left to bring the server back: the operator does."""

CALM_S = (0.2, 1.5)
"""Between one recovery and the next strike: load alone."""
SECOND_S = (0.0, 1.5)
"""Between the first and the second kill of a pair: inside the first one's recovery, which takes about 2 s."""
PAIRS = 0.2
"""The share of the actors' strikes that are pairs."""


class Strike(Struct, frozen=True):
    """One strike: after `calm_s` of load, `target` is killed, and `second` with it where there is one."""

    target: Target
    calm_s: float
    second: Target | None = None
    second_after_s: float = 0.0

    @property
    def kills(self) -> int:
        """How many processes' names it ends."""
        return 1 if self.second is None else 2


def plan(seed: int, kills: int) -> list[Strike]:
    """At least `kills` kills: each target in turn, in an order drawn anew for each round."""
    draw = random.Random(f"strikes {seed}")
    strikes: list[Strike] = []
    while sum(strike.kills for strike in strikes) < kills:
        for target in draw.sample(list(Target), len(Target)):
            if sum(strike.kills for strike in strikes) >= kills:
                break
            strikes.append(_strike(target, draw))
    return strikes


def _strike(target: Target, draw: random.Random) -> Strike:
    calm_s = draw.uniform(*CALM_S)
    if target not in ACTORS or draw.random() > PAIRS:
        return Strike(target, calm_s)
    return Strike(target, calm_s, draw.choice([other for other in ACTORS if other != target]), draw.uniform(*SECOND_S))


def once_each(targets: Iterable[Target], *, calm_s: float) -> list[Strike]:
    """Each of these once."""
    return [Strike(target, calm_s) for target in targets]


def title_of(target: Target, names: Iterable[str], choose: Callable[[list[str]], str]) -> str:
    """The name of the process to kill, among those that run; of several cells one is chosen."""
    if target is not Target.CELL:
        return target.value
    return choose(sorted(name for name in names if name.startswith("cell")))
