"""The server's processes by what they do: their CPU, and their memory.

Ray titles an actor's process after its class, which `orchestrator.cluster.lives` names as the table does, so
`ray::cell-0` is a cell; Ray's own programs are known by theirs. What is neither, such as the supervisor and the node,
is `other`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import psutil
from msgspec import Struct

ROLES = ("journal", "archive", "cell", "usher", "gateway", "channels", "ray", "other")
"""In the order of their rows; all cells are one role, and who seats customers in cells of their own is another."""

_TITLE = re.compile(r"^ray::([a-z]+)(?:-\d+)?(?:\.\w+)?")
_RAY_PROGRAMS = ("raylet", "gcs_server", "ray/_private/", "ray/dashboard/", "ray::")


class Used(Struct, frozen=True):
    """CPU seconds that each process had used at one moment, by (pid, start): a pid may be given out again."""

    seconds: dict[tuple[int, float], tuple[str, float]]

    def since(self, before: "Used") -> dict[str, float]:
        """CPU seconds by role between the two moments; a process that died between them takes its last ones along."""
        there = {role for role, _ in self.seconds.values()}
        spent = {role: 0.0 for role in ROLES if role in there}
        for key, (role, seconds) in self.seconds.items():
            spent[role] += seconds - before.seconds.get(key, (role, 0.0))[1]
        return spent


def used(processes: Mapping[int, psutil.Process]) -> Used:
    """What these processes have used so far."""
    seconds: dict[tuple[int, float], tuple[str, float]] = {}
    for process in processes.values():
        try:
            times = process.cpu_times()
            seconds[process.pid, process.create_time()] = role_of(process.cmdline()), times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return Used(seconds)


def role_of(command: list[str]) -> str:
    """What a process is, from its command line."""
    first = command[0] if command else ""
    if (title := _TITLE.match(first)) and title[1] in ROLES:
        return title[1]
    if any(program in word for program in _RAY_PROGRAMS for word in command):
        return "ray"
    return "other"


class Memory(Struct, frozen=True):
    """Bytes of memory; `pss` shares out what several processes have in common, `rss` counts it for each."""

    rss: int = 0
    pss: int = 0


def memory(process: psutil.Process) -> Memory:
    """A process's memory now. PSS is Linux's; elsewhere it is told as the RSS."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        rss = process.memory_info().rss
        return Memory(rss, rss)
    kib = {name: int(value.split()[0]) for name, _, value in (row.partition(":") for row in _rows(rollup))}
    return Memory(kib["Rss"] * 1024, kib["Pss"] * 1024)


def _rows(rollup: Path) -> list[str]:
    """The file without its first line, which is an address range."""
    return rollup.read_text().splitlines()[1:]
