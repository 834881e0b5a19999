"""Stretches of work that may last: what an operator asks of an actor that answers nobody."""

import asyncio


class Stretch:
    """One kind of work: how long it has lasted, while it does, and how long it did last time."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self.last_ms = 0
        """How long the newest that is over took."""

    @property
    def so_far_ms(self) -> int:
        """0 where nothing is under way."""
        if self._since_s is None:
            return 0
        return round((asyncio.get_running_loop().time() - self._since_s) * 1000)

    def begin(self) -> None:
        """It is under way, from now or from before."""
        if self._since_s is None:
            self._since_s = asyncio.get_running_loop().time()

    def end(self) -> None:
        """It is over."""
        self.last_ms = self.so_far_ms
        self._since_s = None

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()
