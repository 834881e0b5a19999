"""The policy's stream."""

from protocol.events.event import Event


class PolicyApplied(Event, kw_only=True, frozen=True, tag="PolicyApplied"):
    """A bundle is the policy from now on, in every cell. The event's `policy` is the version before it."""

    version: int
    files: dict[str, str]
    """The bundle's texts by name; none: as the settings say."""
    body: bytes
    """What was made of them: MessagePack of the server's `Policy`."""
    note: str = ""
