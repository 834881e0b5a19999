"""Turns: what several ask for, one thing at a time. Pure."""

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Each asker's things in the order of asking, and the askers in turn: whoever asks for much waits behind their own
    things, and others behind one of theirs."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        """By asker, none empty; whose turn is next stands first."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, askers: Collection[str], thing: T) -> None:
        """Puts it behind what waits of the one of these who waits for least."""
        asker = min(askers, key=lambda each: len(self._waiting.get(each, ())))
        self._waiting.setdefault(asker, deque()).append(thing)

    def take(self) -> T | None:
        """The next one; None where nothing waits."""
        asker = next(iter(self._waiting), None)
        if asker is None:
            return None
        own = self._waiting.pop(asker)
        thing = own.popleft()
        if own:
            self._waiting[asker] = own
        return thing
