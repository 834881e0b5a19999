"""Connections that a test left open: named at the end of the run, which they would keep from ending.

aiosqlite gives each connection a thread that Python waits for at its exit, and a test that fails between opening and
closing leaves it waiting for work that never comes.
"""

import os
import threading
from typing import Any

import pytest

WORKER = "_connection_worker_thread"
"""What aiosqlite's threads run, which is what they are known by."""
LEFT = "left_open"
"""Under which a process that shares a run (`pytest-xdist`) says what its tests left."""


class Lingering:
    """A plugin: ends pytest at once where such a thread is left, and never as a success."""

    def __init__(self) -> None:
        self._session: pytest.Session | None = None
        self._left: list[str] = []

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[LEFT] = _open()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._left += getattr(node, "workeroutput", {}).get(LEFT, [])

    # First, since another plugin that raises here would keep it from being called.
    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        left = [*self._left, *_open()]
        if not left:
            return
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"left open by tests: {len(left)} SQLite connections ({', '.join(left)})")
            reporter.flush()
        status = int(self._session.exitstatus) if self._session else 0
        os._exit(status or pytest.ExitCode.TESTS_FAILED)


def _open() -> list[str]:
    return [thread.name for thread in threading.enumerate() if WORKER in thread.name and not thread.daemon]
