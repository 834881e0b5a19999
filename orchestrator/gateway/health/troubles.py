"""Troubles: what does not work, each in one line for an operator: what, since when, and where it says what to do.

journal: restarting for 12 s, after 4 ends; the last: journal.sqlite: database or disk is full; make room on its …
archive: not answering for 7 s: it hangs or was stopped; its log is log/archive.log
"""

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from orchestrator.cluster.states import Condition, ProcessState, steady_ms

ReadStates = Callable[[], Mapping[str, ProcessState]]
"""How each process is, by its name; none where a server runs in one process."""

TURN_MS_MAX = 3_000
"""A transaction of the journal ends within a tenth of a second on a disk that works."""
HELD_MS_MAX = 3_000
JOURNAL = "journal"


def troubles_of_processes(states: Mapping[str, ProcessState], now_ms: int) -> list[str]:
    """Those that are not up."""
    told = ((name, state, max(0, now_ms - state.since_ms) // 1000) for name, state in states.items())
    return [line for name, state, seconds in told if (line := _trouble(name, state, seconds))]


def _trouble(name: str, state: ProcessState, seconds: int) -> str:
    match state.condition:
        case Condition.UP:
            return ""
        case Condition.STARTING if not state.deaths:
            return f"{name}: starting for {seconds} s"
        case Condition.STARTING:
            ends = "1 end" if state.deaths == 1 else f"{state.deaths} ends"
            return f"{name}: restarting for {seconds} s, after {ends}; the last: {state.reason}"
        case Condition.SILENT:
            return f"{name}: not answering for {seconds} s: it hangs or was stopped; its log is log/{name}.log"
        case _:
            assert_never(state.condition)


def troubles_of_journal(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What keeps a journal that is up from writing."""
    counted = figures.get(JOURNAL, {})
    turn_ms, held_ms = counted.get("turn_ms", 0), counted.get("held_ms", 0)
    found = []
    if turn_ms > TURN_MS_MAX:
        found.append(f"journal: one commit has been under way for {turn_ms // 1000} s: the data folder's disk hangs")
    if held_ms > HELD_MS_MAX:
        found.append(
            f"journal: commits have waited for {held_ms // 1000} s until the archive is less than "
            "limits.archive_lag_max behind"
        )
    return found


class Writing:
    """Whether what comes in can be written down. Asked for every input, so it looks at most every `LOOK_EVERY_MS`."""

    def __init__(self, states: ReadStates, figures: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._states = states
        self._figures = figures
        self._looked_ms = 0
        self._possible = True

    def __call__(self) -> bool:
        """As of the last look."""
        now_ms = steady_ms()
        if now_ms - self._looked_ms >= LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._possible = self._look(now_ms)
        return self._possible

    def _look(self, now_ms: int) -> bool:
        journal = self._states().get(JOURNAL)
        if journal is not None and journal.condition is not Condition.UP:
            # A restart takes two seconds, and what comes meanwhile may as well wait for it.
            return now_ms - journal.since_ms < TURNED_AWAY_AFTER_MS
        return not troubles_of_journal(self._figures())


LOOK_EVERY_MS = 500
TURNED_AWAY_AFTER_MS = 5_000
"""A journal that has not been writing for so long will not be back in a moment: inputs are refused as `UNAVAILABLE`,
so that whoever sent them hears of it and keeps them."""
