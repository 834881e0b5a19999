"""Bodies: the JSON bodies of HTTP that are not entities already, and the one shape of every error."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from protocol.entities import ConversationSummary
from protocol.errors import TABLE, Refusal

REF_MAX = 512
"""Characters of a `ref`: an event's or a command's id has no more, and what stands in a path may have thousands."""


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
    quarantine: str = ""
    """Where it is kept, if it is quarantined: the id at `/v1/quarantine/{id}`."""
    code: int = 0
    message: str = ""
    field: str = ""


class IdentityReviewsAnswer(Struct, kw_only=True, frozen=True):
    """A page of open reviews of identities; `next` is the following page's `before`, empty at the end."""

    position: int
    reviews: list[dict[str, Any]]
    next: str = ""


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


class ReadyAnswer(Struct, kw_only=True, frozen=True):
    """Whether all parts work. The other fields only where the token may see them."""

    ready: bool
    reasons: list[str] = []
    policy_troubles: list[str] | UnsetType = UNSET
    """What is wrong with the watched policy folder; left out where nothing is. It takes no part in `ready`."""
    webhook_troubles: list[str] | UnsetType = UNSET
    """Endpoints that committed events do not reach; left out where there are none. It takes no part in `ready`."""


def error_answer(refusal: Refusal) -> ErrorAnswer:
    """A refusal's body."""
    return ErrorAnswer(code=refusal.code, message=refusal.message, ref=refusal.ref[:REF_MAX], field=refusal.field)


def error_json(refusal: Refusal) -> bytes:
    """A refusal's body, encoded, for where no framework is."""
    return msgspec.json.encode(error_answer(refusal))


def error_status(refusal: Refusal) -> int:
    """A refusal's HTTP status."""
    return TABLE[refusal.code].http_status
