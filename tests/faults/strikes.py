"""Strikes: who is killed, when, and how, drawn from a seed.

The draw is the same for the same seed; where a process stands when its kill comes is the machine's to say, so a seed
replays the order and the moments, and not every instruction between them.
"""

import random
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

CELLS = "cell-"


class Target(StrEnum):
    """What a kill ends."""

    CELL = "cell"
    JOURNAL = "journal"
    ARCHIVE = "archive"
    GATEWAY = "gateway"
    CHANNELS = "channels"
    USHER = "usher"
    """Says whose each process is, where each live customer has one."""
    RAYLET = "raylet"
    GCS = "gcs"
    NODE = "node"
    """Holds Ray, and runs each of the server's processes again after its death."""
    SUPERVISOR = "supervisor"
    """The process the operator started, alone: everything below must end by itself. Then a new start."""
    EVERYTHING = "everything"
    """All processes at once, as a power cut does. Then a new start."""


ACTORS = (Target.CELL, Target.JOURNAL, Target.ARCHIVE, Target.GATEWAY, Target.CHANNELS, Target.USHER)
RESTARTED = (Target.SUPERVISOR, Target.EVERYTHING)
"""After these nobody is left to bring the server back: the operator does."""

CALM_S = (0.2, 1.5)
"""Between one recovery and the next strike: load alone."""
SECOND_S = (0.0, 1.5)
"""Between the first and the second kill of a pair: inside the first one's recovery, which takes about 2 s."""
PAIRS = 0.2
"""The share of the actors' strikes that are pairs."""
BACK_S_MAX: dict[str, float] = {
    "a pair": 10.0,
    **dict.fromkeys(ACTORS, 10.0),
    **dict.fromkeys((Target.RAYLET, Target.GCS, Target.NODE, Target.SUPERVISOR, Target.EVERYTHING), 20.0),
}
"""By kind: from the strike until the server is whole, on a machine that does nothing else."""
STILL_BACK_S_MAX = 10.0
STILL_S = 10.0
STILL_TOGETHER = (
    (Target.JOURNAL, Target.RAYLET),
    (Target.CELL, Target.GCS),
    (Target.GATEWAY, Target.SUPERVISOR),
    (Target.ARCHIVE, Target.CHANNELS),
    (Target.NODE,),
    (Target.USHER,),
)
"""Who stands still at the same time: none that the other's absence would hide."""


def targets_of(placement: str) -> list[Target]:
    """Whom a server of this placement has."""
    return [target for target in Target if placement == "dedicated" or target is not Target.USHER]


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

    @property
    def name(self) -> str:
        """For people."""
        return f"kill -9 {self.target}" + (f" and {self.second}" if self.second else "")

    @property
    def kind(self) -> str:
        """What its recovery is compared with."""
        return "a pair" if self.second else self.target.value

    @property
    def back_s_max(self) -> float:
        """The bound of its recovery."""
        return BACK_S_MAX[self.kind]


class Standstill(Struct, frozen=True):
    """After `calm_s` of load these are stopped (SIGSTOP) for `seconds`, and go on."""

    targets: tuple[Target, ...]
    calm_s: float
    seconds: float
    kills: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"stop {' and '.join(self.targets)}"

    @property
    def kind(self) -> str:
        """What its recovery is compared with."""
        return self.name

    @property
    def back_s_max(self) -> float:
        """The bound of its recovery, from when they go on."""
        return STILL_BACK_S_MAX


AnyStrike = Strike | Standstill


def plan(seed: int, kills: int, placement: str) -> list[AnyStrike]:
    """At least `kills` kills: each target in turn, in an order drawn anew for each round. Then the standstills."""
    draw = random.Random(f"strikes {seed}")
    targets = targets_of(placement)
    strikes: list[AnyStrike] = []
    while sum(strike.kills for strike in strikes) < kills:
        for target in draw.sample(targets, len(targets)):
            if sum(strike.kills for strike in strikes) >= kills:
                break
            strikes.append(_strike(target, draw, [other for other in ACTORS if other in targets]))
    there = [together for together in STILL_TOGETHER if set(together) <= set(targets)]
    strikes += [Standstill(together, draw.uniform(*CALM_S), STILL_S) for together in there]
    return strikes


def _strike(target: Target, draw: random.Random, actors: list[Target]) -> Strike:
    calm_s = draw.uniform(*CALM_S)
    if target not in ACTORS or draw.random() > PAIRS:
        return Strike(target, calm_s)
    return Strike(target, calm_s, draw.choice([other for other in actors if other != target]), draw.uniform(*SECOND_S))


def once_each(targets: Iterable[Target], *, calm_s: float) -> list[AnyStrike]:
    """Each of these killed once."""
    return [Strike(target, calm_s) for target in targets]


def title_of(target: Target, names: Iterable[str], choose: Callable[[list[str]], str]) -> str:
    """The name of the process to strike, among those that run; of several cells one is chosen. `KeyError` where none
    is there."""
    if target is not Target.CELL:
        return target.value
    cells = sorted(name for name in names if name.startswith(CELLS))
    if not cells:
        raise KeyError(target)
    return choose(cells)
