"""Answers: the JSON bodies of HTTP that are not entities already, and the one shape of every error."""

from typing import Any

import msgspec
from msgspec import Struct

from protocol.entities import ConversationSummary
from protocol.errors import TABLE, Refusal


class ErrorAnswer(Struct, kw_only=True, frozen=True):
    """Why a request was refused. `code` is of the error table; its hundreds say whether trying again can help."""

    code: int
    message: str
    ref: str = ""
    """The event's or command's id, or the reference under which the server's log has a failure."""
    field: str = ""
    """The path of the field at fault."""


class EventAnswer(Struct, kw_only=True, frozen=True):
    """What became of one event. `status`: `committed`, `repeat`, `quarantined` or `refused`; all but the last are
    durable. `code`, `message` and `field` say why one was quarantined or refused."""

    id: str
    status: str
    conversation: str = ""
    """The stream it went to: a conversation, or a customer's or account's own stream."""
    seq: int = 0
    """Its first event there."""
    position: int = 0
    """The journal's: reads that give it as `at_least` see this event."""
    code: int = 0
    message: str = ""
    field: str = ""


class CommandAnswer(Struct, kw_only=True, frozen=True):
    """A committed command: its first event is (`stream`, `seq`). `status` is `committed` or `repeat`."""

    id: str
    status: str
    stream: str
    seq: int
    position: int


class ConversationsAnswer(Struct, kw_only=True, frozen=True):
    """A page of conversations, newest first. `next` is the `before` of the following page; empty at the end."""

    position: int
    conversations: list[ConversationSummary]
    next: str = ""


class ConversationAnswer(Struct, kw_only=True, frozen=True):
    """One conversation as the archive has it at `position`, with a page of its events in order of `seq`."""

    position: int
    conversation: dict[str, Any]
    events: list[msgspec.Raw]
    next_after: int = 0
    """The `after` of the following page of events; 0 at the end."""


class JourneyAnswer(Struct, kw_only=True, frozen=True):
    """A customer across channels: identities, conversations with their interactions, relations."""

    position: int
    journey: dict[str, Any]


class RowsAnswer(Struct, kw_only=True, frozen=True):
    """Rows of the archive, newest first."""

    position: int
    rows: list[dict[str, Any]]


class RowAnswer(Struct, kw_only=True, frozen=True):
    """One row of the archive."""

    position: int
    row: dict[str, Any]


class ReadyAnswer(Struct, kw_only=True, frozen=True):
    """Whether all parts work. `reasons` only where the token may see them."""

    ready: bool
    reasons: list[str] = []


class StatusAnswer(Struct, kw_only=True, frozen=True):
    """The server at a glance, for `throughline status`."""

    ready: bool
    reasons: list[str]
    generation: str
    journal_position: int
    archive_position: int
    cells: list[bool]
    """Whether the pipe to each cell is open."""
    connections: dict[str, int]
    watched: int
    """Conversations with a watcher."""
    pending: int
    """Questions to cells without an answer."""
    counts: dict[str, int]
    """Rows of the archive by table."""


def error_answer(refusal: Refusal) -> ErrorAnswer:
    """A refusal's body."""
    return ErrorAnswer(code=refusal.code, message=refusal.message, ref=refusal.ref, field=refusal.field)


def error_json(refusal: Refusal) -> bytes:
    """A refusal's body, encoded, for where no framework is."""
    return msgspec.json.encode(error_answer(refusal))


def error_status(refusal: Refusal) -> int:
    """A refusal's HTTP status."""
    return TABLE[refusal.code].http_status
