"""What a file of past contacts was read as: its contacts, or what is wrong with it."""

from collections.abc import Callable, Iterable

from adapters.past import BadPast, Read
from protocol.inbound import InboundEvent, PastConversation

GIVEN = {"account": "mail", "channel": "email", "source": "old"}
AT_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def past(event: InboundEvent) -> PastConversation:
    """What it says."""
    assert isinstance(event.data, PastConversation)
    return event.data


def contacts(read: Iterable[Read]) -> list[InboundEvent]:
    """All of a file that has no fault."""
    read = list(read)
    assert not [bad for bad in read if isinstance(bad, BadPast)]
    return [contact for contact in read if isinstance(contact, InboundEvent)]


def fault(reading: Callable[[], Iterable[Read]]) -> str:
    """What is wrong with a file, or with its only contact."""
    try:
        [bad] = reading()
    except BadPast as exc:
        return str(exc)
    assert isinstance(bad, BadPast)
    return str(bad)
