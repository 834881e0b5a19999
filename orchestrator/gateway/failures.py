"""Failures: a bug met on a client's behalf. The client gets a reference, the log gets where it happened.

An exception's own text may repeat what a customer wrote, so it goes to neither: type and places find a bug.
"""

import traceback
from collections.abc import Callable

import structlog

from protocol.errors import Code, Refusal

_log = structlog.get_logger(__name__)
PLACES_MAX = 24
"""Innermost places of the traceback that are logged."""


def failed(exc: BaseException, *, where: str, new_reference: Callable[[], str]) -> Refusal:
    """Logs the bug under a fresh reference and returns the refusal that carries it."""
    reference = new_reference()
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)]
    _log.error("gateway.failed", where=where, ref=reference, kind=type(exc).__name__, places=places[-PLACES_MAX:])
    return Refusal(Code.INTERNAL, f"the server failed; its log has the reference {reference}", ref=reference)
