"""Connections that a test left open: named at the end of the run, which they would keep from ending.

aiosqlite gives each connection a thread that Python waits for at its exit, and a test that fails between opening and
closing leaves it waiting for work that never comes.
"""

import os
import threading

import pytest

WORKER = "_connection_worker_thread"
"""What aiosqlite's threads run, which is what they are known by."""


class Lingering:
    """A plugin: ends pytest at once where such a thread is left, and never as a success."""

    def __init__(self) -> None:
        self._status = 0

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if left := [thread.name for thread in threading.enumerate() if WORKER in thread.name and not thread.daemon]:
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"left open by tests: {len(left)} SQLite connections ({', '.join(left)})")
                reporter.flush()
            os._exit(self._status or pytest.ExitCode.TESTS_FAILED)
