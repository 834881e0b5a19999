"""The error table: every refusal that crosses the wire has a row here; its code's range tells the client what to do.

    4000-4099  the connection: the client is at fault; fix it, don't reconnect with the same input
    4100-4199  the connection: come again, with back-off; nothing is wrong with what was sent
    4200-4299  one input or command: it is at fault; sending it again unchanged changes nothing
    4300-4399  one input or command: the server could not take it now; send it again

The numbers below 4200 are also WebSocket close codes (RFC 6455 §7.4.2 leaves 4000-4999 to applications).

    ThroughlineError
    └── Refusal          one input, command, frame or connection is refused; carries a Code
"""

from dataclasses import dataclass
from enum import IntEnum


class Code(IntEnum):
    """Wire codes; `TABLE` says what each means and which HTTP status carries it."""

    MALFORMED = 4000
    UNSUPPORTED_PROTOCOL = 4001
    HELLO_EXPECTED = 4002
    TOO_LARGE = 4003
    UNKNOWN_OP = 4004
    CREDITS_EXCEEDED = 4005
    UNAUTHENTICATED = 4010
    FORBIDDEN = 4011
    BAD_ORIGIN = 4012
    BAD_SIGNATURE = 4013

    DRAINING = 4100
    TOO_MANY_CONNECTIONS = 4101
    HEARTBEAT_MISSED = 4102
    INTERNAL = 4103
    SUPERSEDED = 4104

    INVALID = 4200
    UNKNOWN_TYPE = 4201
    DIGEST_CONFLICT = 4202
    TIME_IMPLAUSIBLE = 4203
    NO_IDENTITY = 4204
    BAD_IDENTITY = 4205
    IDENTITY_TAKEN = 4206
    NOT_FOUND = 4207
    NOT_ALLOWED_NOW = 4208
    UNKNOWN_ACCOUNT = 4209
    OVER_LIMIT = 4210
    GONE = 4211
    TOO_COSTLY = 4212

    OVERLOADED = 4300
    UNAVAILABLE = 4301
    TIMED_OUT = 4302
    POSITION_NOT_REACHED = 4303


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the error table: the name clients log, the meaning, the HTTP status of the same refusal."""

    meaning: str
    http_status: int


TABLE: dict[Code, Row] = {
    Code.MALFORMED: Row("the bytes are not a frame: not MessagePack or JSON, or a field has the wrong type", 400),
    Code.UNSUPPORTED_PROTOCOL: Row("the WebSocket subprotocol is not one the server speaks", 400),
    Code.HELLO_EXPECTED: Row("the first frame must be `hello`, and it comes once", 400),
    Code.TOO_LARGE: Row("a frame, body, header, list or nesting is over the limit that the message names", 413),
    Code.UNKNOWN_OP: Row("the frame's `op` is unknown, or belongs to another kind of connection", 400),
    Code.CREDITS_EXCEEDED: Row("more events are unanswered than `flow` credited", 429),
    Code.UNAUTHENTICATED: Row("no token, or one that is unknown, expired or revoked", 401),
    Code.FORBIDDEN: Row("the token's scopes do not cover this", 403),
    Code.BAD_ORIGIN: Row("the browser's Origin is not among the allowed ones", 403),
    Code.BAD_SIGNATURE: Row("the vendor's signature does not match the request", 403),
    Code.DRAINING: Row("the server is stopping; reconnect after a moment", 503),
    Code.TOO_MANY_CONNECTIONS: Row("the connection limit is reached", 503),
    Code.HEARTBEAT_MISSED: Row("no answer to the heartbeat in time, or no `hello` after the handshake", 408),
    Code.INTERNAL: Row("the server failed; the reference finds it in the log", 500),
    Code.SUPERSEDED: Row("the server opened the same session anew elsewhere", 409),
    Code.INVALID: Row("a field is missing or has a value outside its range; the message names it", 422),
    Code.UNKNOWN_TYPE: Row("the event's `type` or the command's `do` is not one the server knows", 422),
    Code.DIGEST_CONFLICT: Row(
        "the same id came before with another payload; an event (account, source, id) lies in quarantine for it",
        409,
    ),
    Code.TIME_IMPLAUSIBLE: Row("the event's time is too far from the server's clock", 422),
    Code.NO_IDENTITY: Row("the event carries no identity, so nobody can be found it belongs to", 422),
    Code.BAD_IDENTITY: Row("an identity is not `kind:value` of a known form", 422),
    Code.IDENTITY_TAKEN: Row("the identity belongs to another customer; the message names that one", 409),
    Code.NOT_FOUND: Row(
        "there is no such conversation, customer, delivery, handoff, attachment or quarantined input", 404
    ),
    Code.NOT_ALLOWED_NOW: Row("the conversation's present state does not allow this; the message says why", 409),
    Code.UNKNOWN_ACCOUNT: Row("the channel account is not configured, or the token may not speak for it", 404),
    Code.OVER_LIMIT: Row("a bound of the conversation, customer or channel is reached; the message names it", 422),
    Code.GONE: Row("what was asked for is no longer kept; the message names the oldest that is", 410),
    Code.TOO_COSTLY: Row("a read took longer than one may; the message says what to ask for instead", 422),
    Code.OVERLOADED: Row("too much is waiting; send again after a moment", 503),
    Code.UNAVAILABLE: Row("a part of the server is starting or recovering; send again", 503),
    Code.TIMED_OUT: Row("no answer in time; it may or may not have happened; send again under the same id", 504),
    Code.POSITION_NOT_REACHED: Row("the archive has not reached the position asked for; ask again", 503),
}


SHOWN_MAX = 64
"""Characters of an id or a name from outside that a message repeats: ours have at most 40."""


def shown(name: str) -> str:
    """An id or a name that came from outside, as a message repeats it: cut, since what comes may have any length."""
    return name if len(name) <= SHOWN_MAX else f"{name[:SHOWN_MAX]}…"


def retryable(code: int) -> bool:
    """Whether the very same input may succeed when sent again: the range alone says so, also of a code of tomorrow."""
    return 4100 <= code < 4200 or 4300 <= code < 4400


class ThroughlineError(Exception):
    """Base of every error that Throughline raises on purpose."""


class Refusal(ThroughlineError):
    """Something from outside is refused: `code` from the table, a message naming what, where and what to do, and
    `ref`, the id of the offending frame, event or command where it has one. Never carries customers' words."""

    def __init__(self, code: Code, message: str, *, ref: str = "", field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.ref = ref
        self.field = field
        """The path of the field at fault, such as `data.text`, where there is one."""

    @property
    def retryable(self) -> bool:
        """Whether sending the very same thing again can succeed."""
        return retryable(self.code)


def kept_because(why: tuple[int, str, str] | None, id: str) -> Refusal:
    """What is wrong with an input that a cell put into quarantine by itself (`Answered.why`); whoever sent it has to
    hear of it."""
    if why is None:
        return Refusal(Code.DIGEST_CONFLICT, TABLE[Code.DIGEST_CONFLICT].meaning, ref=id, field="id")
    code, field, reason = why
    return Refusal(Code(code), reason, ref=id, field=field)
