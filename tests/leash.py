"""A leash: ends a server when the test run that started it is gone, whatever ended that: Ctrl-C, a kill, a time limit.

Fixtures end what they started only where pytest gets to run them. A shell that waits for the end of a pipe, whose other
end this process holds, gets to it always.
"""

import subprocess

_HOLD = 'read -r _; kill -TERM "$1"'


class Leash:
    """Holds the process `pid`, which is told to end (SIGTERM) when this process ends before `release`."""

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _HOLD, "leash", str(pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Else it would get the terminal's Ctrl-C too, and die of it.
            start_new_session=True,
        )

    def release(self) -> None:
        """The process has ended: its number may be another's by now."""
        self._shell.kill()
        self._shell.communicate()
