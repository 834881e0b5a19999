"""Commands on the work: what is said to the customer, whose it is, where and how long it waits, and its end."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class Reply(Command, kw_only=True, frozen=True, tag="reply"):
    """Send `text` to the customer.

    Without `channel` it goes where the customer's newest interaction came from; with it, to the customer's newest
    identity on that channel. `to` names one identity of the customer exactly, `account` the line that it leaves by;
    without it, that is the newest which the conversation had there. A text that is longer than what leaves there is
    refused with the limit (`OVER_LIMIT`): nothing is split.
    """

    text: str
    channel: str = ""
    to: str = ""
    subject: str = ""
    account: str = ""


class AddNote(Command, kw_only=True, frozen=True, tag="note"):
    """Write an internal note."""

    text: str


class Take(Command, kw_only=True, frozen=True, tag="take"):
    """Become the owner; refused while someone else is, unless `force`."""

    force: bool = False


class Assign(Command, kw_only=True, frozen=True, tag="assign"):
    """Give the conversation to `owner`, or to nobody with an empty one."""

    owner: str


class Move(Command, kw_only=True, frozen=True, tag="move"):
    """Put the conversation in another queue."""

    queue: str


class Snooze(Command, kw_only=True, frozen=True, tag="snooze"):
    """Sleep until `until_ms`."""

    until_ms: WholeNumber


class Resolve(Command, kw_only=True, frozen=True, tag="resolve"):
    """Say it is done."""

    reason: str = ""


class Reopen(Command, kw_only=True, frozen=True, tag="reopen"):
    """Say it is not done."""

    reason: str = ""
