"""The server's own commands on quarantined input that comes in after all."""

from hashlib import blake2b

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class MarkReplayed(Command, kw_only=True, frozen=True, tag="mark_replayed"):
    """Note that a quarantined input came in after all. Addressed to the account's own stream; the server's own."""

    quarantine: str
    stream: str = ""
    seq: WholeNumber = 0


class BeginReplay(Command, kw_only=True, frozen=True, tag="begin_replay"):
    """Say in which form a quarantined input is to come in; refused while another form of it may. The server's own."""

    quarantine: str
    raw: bytes = b""
    input: bytes = b""
    """The input's own once-key, MessagePack of `Once`, where it is to come in as somebody else's: 64 bits are more than
    an integer that comes from outside may have."""


class EndReplay(Command, kw_only=True, frozen=True, tag="end_replay"):
    """Note that the form was refused, so that another may follow. The server's own."""

    quarantine: str
    code: WholeNumber
    reason: str
    field: str = ""
    form: WholeNumber | None = None
    """`form_of` what was refused: another form may be under way by now, which is not to end by it. None: whichever."""


def form_of(raw: bytes) -> int:
    """What tells the forms of an input apart, by the `raw` that each was begun with: 48 bits, and 0 for none."""
    return int.from_bytes(blake2b(raw, digest_size=6).digest()) if raw else 0
