"""Commands on what is known, and on which channel it goes on."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class SetContext(Command, kw_only=True, frozen=True, tag="set_context"):
    """Set one context item."""

    key: str
    value: str | WholeNumber | float | bool | None
    sensitivity: str = "normal"
    verified: bool = False
    """You checked it: read from a document, or confirmed by the customer against what we have."""


class SwitchChannel(Command, kw_only=True, frozen=True, tag="switch_channel"):
    """Go on on another channel ("I call you"), with everything that is known.

    `to` names one identity of the customer exactly; without it, it is their newest one on that channel. `account` names
    the line to speak by; without it, that is the newest which the conversation had there.
    """

    channel: str
    to: str = ""
    reason: str = ""
    account: str = ""
