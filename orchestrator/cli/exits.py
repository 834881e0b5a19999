"""Exit codes, and the one exception that ends a command with one of them.

ThroughlineError
└── Failure          the command ends: an exit code, and a message for the operator
"""

from enum import IntEnum
from typing import Any

from protocol.errors import Code, Refusal, ThroughlineError


class Exit(IntEnum):
    """What a script can tell apart; `docs/operations.md` lists them."""

    DONE = 0
    REFUSED = 1
    """The server refused, or what was asked for failed; the message says why."""
    USAGE = 2
    """The command line or the settings file is wrong (2 is what shells' own tools use for it)."""
    UNREACHABLE = 3
    """No server answers at the address."""
    DATA = 4
    """The data folder is in use by another server, or cannot be used."""
    INTERRUPTED = 130
    """Ctrl-C, as shells count it: 128 + SIGINT."""


class Failure(ThroughlineError):
    """The command cannot do what it was asked for. `code` is the wire code where a server gave one."""

    def __init__(self, exit_code: Exit, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.code = code

    @classmethod
    def of_refusal(cls, refusal: Refusal) -> "Failure":
        """The failure that a refusal is to whoever typed the command."""
        return cls(Exit.REFUSED, refusal.message, code=int(refusal.code))

    def as_json(self) -> dict[str, Any]:
        """What `--json` writes to standard error."""
        name = _NAMES.get(self.code, "")
        return {"exit": int(self.exit_code), "code": self.code, "name": name, "message": self.message}


_NAMES = {int(code): code.name for code in Code}
