"""The server's own command on the policy's versions."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class ApplyPolicy(Command, kw_only=True, frozen=True, tag="apply_policy"):
    """Make a bundle the next version of the policy. Addressed to the customer `policy`; the server's own, since it
    checks a bundle before.

    `files` are the bundle's texts by name, `body` is what was made of them: MessagePack of
    `actors.rules.policy.Policy`. Refused where the newest version is not `base` any more; 0: whichever it is.
    """

    files: dict[str, str]
    body: bytes
    note: str = ""
    base: WholeNumber = 0
