"""States: how each process of the server is, as its node knows it, left in the run folder for whoever asks.

    starting ──▶ up ──▶ silent ──▶ up          it does not answer: stopped, or busy with one thing for too long
        ▲        │ ended  │
        └────────┴────────┘

What is wrong lasts until it has been right for a while: a process that comes back only to break again on the same full
disk is in one trouble since its first end, and not in a new one every few seconds.
"""

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

STEADY_MS = 10_000
"""Up for so long, a process counts as well; what breaks it later is a new trouble."""
SILENT_AFTER_MS = 3_000
"""Without an answer. It is asked every second or two, and a busy one answers late."""
STALE_AFTER_MS = 5_000
"""A file this old says nothing but that the node does not write it."""
_FILE = "states.json"


def steady_ms() -> int:
    """A clock that never jumps, and that all processes of one machine share."""
    return time.monotonic_ns() // 1_000_000


class Condition(StrEnum):
    """How a process is."""

    UP = "up"
    STARTING = "starting"
    SILENT = "silent"


class ProcessState(Struct, frozen=True):
    """One process: how it is, since when (by `steady_ms`), how often it ended unasked, and why the last time."""

    condition: Condition
    since_ms: int
    deaths: int = 0
    reason: str = ""


class Told(Struct, frozen=True):
    """What the node told last, and when."""

    at_ms: int
    states: dict[str, ProcessState]


class States:
    """The node's notes. Times are given by the caller."""

    def __init__(self, names: Iterable[str], *, now_ms: int) -> None:
        self._of = {name: _Notes(now_ms) for name in names}

    def joins(self, name: str, now_ms: int) -> None:
        """There is such a process from now on."""
        self._of[name] = _Notes(now_ms)

    def leaves(self, name: str) -> None:
        """There is none any more, and none is missed."""
        self._of.pop(name, None)

    def up(self, name: str, now_ms: int) -> None:
        """It serves."""
        self._of[name].up_ms = self._of[name].answered_ms = now_ms

    def ended(self, name: str, reason: str, now_ms: int) -> None:
        """It ended unasked, and is started again."""
        self._of[name].ended(reason, now_ms)

    def answered(self, name: str, now_ms: int) -> None:
        """It answered a call."""
        if name in self._of:  # Else it has left since.
            self._of[name].answered_ms = now_ms

    def at(self, now_ms: int) -> dict[str, ProcessState]:
        """How all are."""
        return {name: notes.state(now_ms) for name, notes in self._of.items()}


class _Notes:
    """On one process."""

    def __init__(self, now_ms: int) -> None:
        self.up_ms: int | None = None
        """When this life began to serve."""
        self.answered_ms = now_ms
        self._trouble_ms = now_ms
        self._deaths = 0
        self._reason = ""

    def ended(self, reason: str, now_ms: int) -> None:
        steady = self.up_ms is not None and now_ms - self.up_ms >= STEADY_MS
        if steady or not self._deaths:
            self._trouble_ms = now_ms
        self.up_ms = None
        self._deaths += 1
        self._reason = reason

    def state(self, now_ms: int) -> ProcessState:
        if self.up_ms is None:
            return ProcessState(Condition.STARTING, self._trouble_ms, self._deaths, self._reason)
        if now_ms - self.answered_ms > SILENT_AFTER_MS:
            return ProcessState(Condition.SILENT, self.answered_ms, self._deaths, self._reason)
        return ProcessState(Condition.UP, self.up_ms, self._deaths, self._reason)


def write_states(run: Path, told: Told) -> None:
    """Leaves them for `read_states`; renamed into place, so that a reader sees one telling or the next."""
    fresh = run / f"{_FILE}.new"
    fresh.write_bytes(msgspec.json.encode(told))
    fresh.rename(run / _FILE)


def read_states(run: Path, *, now_ms: int) -> dict[str, ProcessState]:
    """The newest. Where the node has not told for too long, it is one more process, and silent; the others are as it
    last knew them. None where nobody tells: a server in one process has no others."""
    try:
        told = msgspec.json.decode((run / _FILE).read_bytes(), type=Told)
    except FileNotFoundError:
        return {}
    if now_ms - told.at_ms <= STALE_AFTER_MS:
        return told.states
    return {"node": ProcessState(Condition.SILENT, told.at_ms), **told.states}


def figures_of(states: Mapping[str, ProcessState], now_ms: int) -> dict[str, dict[str, Any]]:
    """As plain values, with their ages in seconds: what `/v1/status` shows."""
    return {
        name: {
            "condition": state.condition.value,
            "seconds": max(0, now_ms - state.since_ms) // 1000,
            "deaths": state.deaths,
            "reason": state.reason,
        }
        for name, state in states.items()
    }
