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
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    # First, since another plugin that raises here would keep it from being called.
    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        left = [thread.name for thread in threading.enumerate() if WORKER in thread.name and not thread.daemon]
        if not left:
            return
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"left open by tests: {len(left)} SQLite connections ({', '.join(left)})")
            reporter.flush()
        status = int(self._session.exitstatus) if self._session else 0
        os._exit(status or pytest.ExitCode.TESTS_FAILED)
