"""Our own processes, wherever they hang in the process tree: how they are known, and how they are ended.

Every process of a server carries `THROUGHLINE_NODE=<mark>` in its environment, inherited from the node. Ray's agents
overwrite that memory with their title, so a process whose title says Ray's is also known by the files it holds open in
a run folder of the mark. Nothing else is ever touched: not by name, not by age.
"""

import os
import time
from collections.abc import Iterator

import psutil

from orchestrator.cluster.run_folder import run_prefix

MARK_VARIABLE = "THROUGHLINE_NODE"

LOOK_EVERY_S = 0.02
"""A killed process is gone in milliseconds; a look costs about 0.1 ms for each process of the machine."""

_RAY_TITLE = "ray::"


def ours(mark: str, *, but: frozenset[int] = frozenset()) -> list[psutil.Process]:
    """All living processes of the mark, except those with a pid in `but`."""
    return [process for process in psutil.process_iter() if process.pid not in but and _carries(process, mark)]


def end(mark: str, *, but: frozenset[int] = frozenset(), within_s: float = 5.0) -> int:
    """Kills all of them, until none is left or the time is up; returns how many there were.

    At once and without a word: each is made to be killed at any moment, and what could be said was said by draining.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + within_s
    while left := ours(mark, but=but):
        for process in left:
            killed.add(process.pid)
            _kill(process)
        # Looked for again and not waited for: a process may have started another one just before it died, and waiting
        # would take a child's exit status away from whoever started it.
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK_EVERY_S)
    return len(killed)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        # One that has ended and waits for its parent has neither an environment nor words any more.
        if process.environ().get(MARK_VARIABLE) == mark:
            return True
        if not any(word.startswith(_RAY_TITLE) for word in process.cmdline()[:1]):
            return False
        below = f"/{run_prefix(mark)}"
        return any(below in path for path in _open_paths(process))
    except (psutil.Error, OSError):
        return False  # Gone meanwhile, or another user's, and then not ours.


def _open_paths(process: psutil.Process) -> Iterator[str]:
    """What it holds open, as far as that has a path."""
    descriptors = f"/proc/{process.pid}/fd"
    if not os.path.isdir(descriptors):
        yield from (file.path for file in process.open_files())
        return
    # Where the kernel shows them, psutil asks for each whether it is a file, and how far it was read: five times the
    # time, on all of Ray's processes that the machine has.
    for descriptor in os.listdir(descriptors):
        try:
            yield os.readlink(f"{descriptors}/{descriptor}")
        except FileNotFoundError:
            continue  # Closed meanwhile.


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
