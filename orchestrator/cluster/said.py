"""What a node tells its supervisor: one JSON object a line, and an exit code at the end."""

from enum import IntEnum

from msgspec import Struct


class ExitCode(IntEnum):
    """How a node ends."""

    STOPPED = 0
    REBUILD = 75
    """Ray or the supervisor is gone: everything must be made anew (EX_TEMPFAIL of sysexits.h)."""
    HOPELESS = 78
    """It cannot start with these settings or this data (EX_CONFIG); the reason was said."""


class Up(Struct, frozen=True, tag="up", tag_field="said"):
    """A process serves: at the start, and again after each death."""

    process: str
    facts: dict[str, str | int]
    """What its part says, such as `port`; always `pid`."""


class Ready(Struct, frozen=True, tag="ready", tag_field="said"):
    """All processes serve, for the first time. `vital`: the pids of Ray's own processes that must live, by program."""

    vital: dict[str, int]


class Died(Struct, frozen=True, tag="died", tag_field="said"):
    """A process ended unasked, for the `deaths`-th time, and is being brought back."""

    process: str
    reason: str
    deaths: int


class Gone(Struct, frozen=True, tag="gone", tag_field="said"):
    """A process was ended, since nobody needs it now."""

    process: str


class Hopeless(Struct, frozen=True, tag="hopeless", tag_field="said"):
    """The reason of `ExitCode.HOPELESS`, for the operator."""

    reason: str


Said = Up | Ready | Died | Gone | Hopeless
