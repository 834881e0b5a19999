"""Open values: what a client puts under `properties` and `raw`, the only places where it chooses the shape itself, and
under `context`, where it chooses the keys.

Everything else on the wire is bounded by its type. Here depth and number are checked after decoding and not by a scan
of the bytes before it: the decoder guards its own recursion and the message's size bounds what it can build, so that a
look at the finished value is safe, costs nothing where there is none (nearly always), and serves MessagePack and JSON
alike.
"""

from math import isfinite
from typing import Any

from protocol.inbound import ActivityArrived, DeliveryReport, GivenContext, InboundEvent, PastConversation

DEPTH_MAX = 16
"""Lists and objects inside each other; what web trackers send has four or five."""
VALUES_MAX = 4096
"""Values in all; an order of five hundred lines with eight fields each passes."""
INTEGER_MAX = 2**63 - 1
"""What MessagePack and both databases hold. A longer number (an id of another system) belongs in a string."""

_WITHOUT_CONTEXT = (DeliveryReport, PastConversation)


def open_fault(event: InboundEvent) -> tuple[str, str] | None:
    """Returns the path and the fault of an event's open values, or None where all is well."""
    if event.raw and (fault := _fault(event.raw)):
        return "raw", fault
    if type(event.data) is ActivityArrived and event.data.properties and (fault := _fault(event.data.properties)):
        return "data.properties", fault
    given = None if isinstance(event.data, _WITHOUT_CONTEXT) else event.data.context
    if given and (fault := _context_fault(given)):
        return "data.context", fault
    return None


def _context_fault(given: GivenContext) -> str | None:
    if not all(key.isprintable() for key in given):
        return "has a key with characters that cannot be printed"
    if any(isinstance(value, str) and "\0" in value for value in given.values()):
        return "has a text with a NUL character, which no text has"
    return next((fault for value in given.values() if (fault := scalar_fault(value))), None)


def _fault(value: Any) -> str | None:
    waiting: list[tuple[Any, int]] = [(value, 1)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen + len(waiting) > VALUES_MAX:
            return f"holds more than {VALUES_MAX} values"
        if type(value) is dict:
            if not all(type(key) is str for key in value):
                return "has a key that is not a string"
            waiting.extend((item, depth + 1) for item in value.values())
        elif type(value) is list:
            waiting.extend((item, depth + 1) for item in value)
        elif fault := scalar_fault(value):
            return fault
        if depth > DEPTH_MAX:
            return f"is nested deeper than {DEPTH_MAX}"
    return None


def scalar_fault(value: Any) -> str | None:
    """Returns what is wrong with a value that is no list and no object: it must be one that JSON has."""
    if value is None or type(value) in (str, bool):
        return None
    if type(value) is int:
        return None if abs(value) <= INTEGER_MAX else "has an integer of more than 64 bits; write it as a string"
    if type(value) is float:
        return None if isfinite(value) else "has a number that is not finite"
    return "has a value that JSON has not: a timestamp, bytes or an extension"
