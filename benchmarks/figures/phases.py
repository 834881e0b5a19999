"""Progress of a run on the terminal: one bar for each phase, moving with the clock or with what is done."""

import threading
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_TICK_S = 0.2


class Phases:
    """A context manager. A thread of its own moves the bars: the loop is busy measuring."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<30}"), BarColumn(), TimeElapsedColumn(), console=console, auto_refresh=False
        )
        self._task: TaskID | None = None
        self._began_s = 0.0
        self._counts = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._move, daemon=True)

    def begin(self, name: str, seconds: float) -> None:
        """Ends the phase before and begins this one, which should take `seconds`."""
        self._finish()
        self._began_s, self._counts = time.monotonic(), False
        self._task = self._progress.add_task(name, total=seconds)

    def reach(self, done: int, of: int) -> None:
        """This phase's bar moves by what is done, from now on."""
        self._counts = True
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=of)

    def __enter__(self) -> Self:
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self._finish()
        self._progress.stop()

    def _finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[self._task].total
            self._progress.update(self._task, completed=total or 0)
            self._progress.stop_task(self._task)

    def _move(self) -> None:
        while not self._ended.wait(_TICK_S):
            if self._task is not None and not self._counts and not self._progress.tasks[self._task].finished:
                self._progress.update(self._task, completed=time.monotonic() - self._began_s)
            self._progress.refresh()
