"""The node: Ray's driver process. Starts Ray, and keeps the actors of all other processes (`keeper.py`).

`python -m orchestrator.cluster.node RUN_FOLDER BUILD`, started by the supervisor only.

    stdin     `drain` asks for the end; end of file means the supervisor is gone, and ends everything at once
    stdout    one JSON `Said` a line
    exit      `ExitCode`
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import structlog

from orchestrator.cluster import leftovers, ray_profile
from orchestrator.cluster.keeper import Keeper, Over
from orchestrator.cluster.logs import log_to
from orchestrator.cluster.run_folder import read_settings
from orchestrator.cluster.said import ExitCode, Said
from orchestrator.cluster.table import processes
from orchestrator.data_layout import LOGS

_log = structlog.get_logger("orchestrator.cluster.node")  # Not `__name__`: this module runs as `__main__`.


class Say:
    """Writes to the supervisor. That nobody reads any more is no error: the supervisor's death is heard on stdin."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __call__(self, said: Said) -> None:
        """Writes one line."""
        try:
            os.write(self._file, msgspec.json.encode(said) + b"\n")
        except BrokenPipeError:
            return


async def _listen(stdin: int, asked_to_end: asyncio.Event) -> None:
    """Waits for what the supervisor asks. Raises `Over` at its death."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(stdin, "rb", buffering=0)
    )
    while line := await reader.readline():
        assert line == b"drain\n", line
        asked_to_end.set()
    _log.error("node.supervisor_died")
    raise Over(ExitCode.REBUILD)


async def _serve(run: Path, build: str, *, stdin: int, say: Say) -> None:
    settings = read_settings(run)
    logs = Path(settings.data) / LOGS
    log_to(logs / "node.log", settings.log_level)
    asked_to_end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_listen(stdin, asked_to_end))
        table = processes(settings)
        _log.info("node.starting")
        vital = await asyncio.to_thread(ray_profile.start, run / "r", workers=len(table))
        _log.info("node.ray_started")
        limits = settings.limits
        keeper = Keeper(table, vital, run, build, logs=logs, drain_s=limits.drain_s, hang_s=limits.hang_s, say=say)
        await keeper.run(asked_to_end)
        listening.cancel()


def main(run: Path, build: str) -> ExitCode:
    """Runs the node to its end."""
    stdin, stdout = _own_pipes()
    say = Say(stdout)
    code = ExitCode.STOPPED
    try:
        asyncio.run(_serve(run, build, stdin=stdin, say=say))
    except* Over as group:
        code = _first(group).code
    if code is ExitCode.STOPPED:
        ray_profile.stop()
    return code


def _first(group: BaseExceptionGroup[Over]) -> Over:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _own_pipes() -> tuple[int, int]:
    """Takes the supervisor's pipes off the standard descriptors, where Ray and its children would write to them."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return stdin, stdout


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2])
    if code is not ExitCode.STOPPED:
        # Ray is in no state to be taken down politely; the supervisor may be gone as well.
        leftovers.end(os.environ[leftovers.MARK_VARIABLE], but=frozenset({os.getpid()}))
    # Not `sys.exit`: Ray's exit handlers wait for what was just ended.
    os._exit(code)
