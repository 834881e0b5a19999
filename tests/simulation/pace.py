"""Pace: how long everything takes, drawn from the run's one source of chance. Faults make it slow for a while."""

from random import Random


class Pace:
    """Durations in seconds. `slow` multiplies pipes, `disk` the stores; 1 is a healthy machine."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.slow = 1.0
        self.disk = 1.0
        self.archive = 1.0

    def toss(self) -> bool:
        """Heads or tails."""
        return self.random.random() < 0.5

    def hop_s(self) -> float:
        """A blob's way through a pipe."""
        return self.random.uniform(0.00005, 0.001) * self.slow

    def net_s(self) -> float:
        """A message's way through a WebSocket."""
        return self.random.uniform(0.001, 0.02) * self.slow

    def commit_s(self) -> float:
        """Half of a commit: before it is on the disk, or from then until the store says so."""
        return self.random.uniform(0.0005, 0.004) * self.disk

    def apply_s(self) -> float:
        """A transaction of the archive."""
        return self.random.uniform(0.0005, 0.01) * self.archive

    def read_s(self) -> float:
        """A read of a store; often from memory, in no time."""
        return self.random.uniform(0.0001, 0.005) * self.archive if self.random.random() < 0.3 else 0.0

    def start_s(self) -> float:
        """From a process's death to its next life."""
        return self.random.uniform(0.05, 1.0)

    def heal(self) -> None:
        """The machine is healthy."""
        self.slow = self.disk = self.archive = 1.0
