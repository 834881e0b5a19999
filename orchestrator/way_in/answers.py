"""Answers: a cell's reply to an event or a command, as data or as a `Refusal` that is raised."""

import asyncio

from orchestrator.cell_lines.questions import Reply
from protocol.errors import Code, Refusal
from protocol.links import Answered, Refused

ANSWER_WITHIN_S = 30.0
"""How long a request is held open for a commit. A web server, a mail server or a vendor gives up by itself at about
that time; it tries again safely only if it was told that there was no answer."""


async def in_time(outcome: "asyncio.Future[Answered | Refusal]", id: str) -> Answered | Refusal:
    """Waits for what became of an event that someone holds a request open for. Raises `Refusal` (`TIMED_OUT`)."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await outcome
    except TimeoutError as exc:
        text = f"no commit within {ANSWER_WITHIN_S:g} s; it may still happen, so send it again under the same id"
        raise Refusal(Code.TIMED_OUT, text, ref=id) from exc


def outcome_of(reply: Reply | Refusal, id: str) -> Answered | Refusal:
    """The reply to an event or command of this id, as data."""
    match reply:
        case Answered() | Refusal():
            return reply
        case Refused():
            return Refusal(Code(reply.code), reply.message, ref=id, field=reply.field)
        case _:
            raise AssertionError(f"{type(reply).__name__} does not answer an event or command")


def answer_of(reply: Reply, id: str = "") -> Answered:
    """The same; a refusal is raised."""
    outcome = outcome_of(reply, id)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
