"""A part: what a process of the server hosts, and what builds it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from actors.seats.seating import Wanted
from orchestrator.settings import Settings


class Part(Protocol):
    """What a process hosts: a journal, an archive, a cell, a gateway, channels, each with its lines."""

    async def start(self) -> dict[str, str | int]:
        """Opens what it needs; it serves when this returns. Returns what others may know, such as a port."""
        ...

    async def run(self) -> None:
        """Serves until drained; raises what broke it."""
        ...

    async def drain(self) -> None:
        """Takes nothing new in, finishes what it holds, and makes `run` return."""
        ...

    async def stop(self) -> None:
        """Gives back what it opened."""
        ...

    def status(self) -> dict[str, object]:
        """Figures for operators."""
        ...


@runtime_checkable
class Seating(Protocol):
    """A part that wants cells to come and go: the usher's."""

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        """Which seats there should be, once that is no longer the `known`-th word of it, with its number."""
        ...


Build = Callable[[str, Settings, Path], Part]
"""Builds the part of the process of this name, for these settings, with its sockets in this folder."""
