"""What goes between the projection and an archive's store: changes in, rows out, without SQL.

`actors/archive/projection.py` makes the changes of a run of the journal's records, a store applies them in one
transaction. What every event changes has the form that costs least: rows as tuples. What only some change is a patch.
`docs/data-model.md` has every table and column.
"""

from typing import Any

from msgspec import Struct

RISING = {"confirmed": ("", "sent", "undelivered", "delivered", "bounced", "read")}
"""By column, what it may say, from the least to the most. What a channel says of a message comes in any order, and also
both, that it came and that it did not. Where the customer has several devices, who saw it come knows more
(https://docs.ycloud.com/reference/whatsapp-message-updated-webhook-examples). But a mail that bounced had been taken
before by a server, which may have been told as `delivered`
(https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html)."""


class Patch(Struct, frozen=True, gc=False):
    """One row's change.

    `new`: the row does not exist yet, `values` has all its columns but the key's and `position`; otherwise the named
    columns of an existing row change, and those of `fill` change where they are still empty text. `values` None: the
    row goes.

    A column of `RISING` changes by `fill` where it says no more than that.
    """

    table: str
    key: tuple[str | int, ...]
    values: dict[str, Any] | None
    new: bool
    position: int
    fill: dict[str, str] = {}


def filled(column: str, word: str, text: str) -> str:
    """What a column that says `word` says once it was filled with `text`."""
    if column not in RISING:
        return word or text
    return text if standing(column, text) >= standing(column, word) else word


def standing(column: str, word: str) -> int:
    """How much a word says in a column of `RISING`; one that is not known there as little as none."""
    order = RISING[column]
    return order.index(word) if word in order else 0


EventRow = tuple[int, int, str, int, str, int, str, str]
"""A row of `event`: position, n, stream, seq, type, at_ms, actor, body."""

Head = tuple[int, int, int, str]
"""A conversation's newest event: its seq, at_ms and position, and the conversation."""


class Rehoming(Struct, frozen=True, gc=False):
    """The conversations of `members`, with their timers and deliveries, are `home`'s at `position`, whose shard is
    `shard`: the first of them left, or came back. `identities` go along; None: all that the first of them has."""

    position: int
    members: list[str]
    home: str
    shard: int
    identities: list[str] | None


class Changes(Struct, frozen=True, gc=False):
    """What a run of records changes, up to and with `position`.

    `events` are in the journal's order. `heads`, one a conversation, are the last word on its `head`, `updated_at_ms`
    and `position`. No two `patches` are of one row. `rehomed`, of the last record alone, follows all else; so does that
    who is `forgotten` by it has no identity any more, however that became theirs.
    """

    position: int
    events: list[EventRow]
    heads: list[Head]
    patches: list[Patch]
    rehomed: list[Rehoming] = []
    forgotten: str = ""


class StoredSnapshot(Struct, frozen=True, gc=False):
    """A journey's state as of `position`."""

    position: int
    body: bytes


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as the archive keeps it: `body` is JSON of one `AnyEvent`."""

    position: int
    stream: str
    seq: int
    body: bytes
    n: int = 0
    """Its place in its unit."""


class StoredVersion(Struct, frozen=True, gc=False):
    """A version of the policy without its texts and rules, which are a thousand times as long."""

    version: int
    at_ms: int
    actor: str
    note: str


class StoredJourney(Struct, frozen=True, gc=False):
    """What an archive that is at `position` has of a customer: the newest snapshot, and the events after it."""

    position: int
    snapshot: StoredSnapshot | None
    events: list[StoredEvent]


class Due(Struct, frozen=True, gc=False):
    """A customer whose journey has something to do at `due_ms`."""

    customer: str
    due_ms: int


class Bounds(Struct, kw_only=True, frozen=True, gc=False):
    """What one run of retention drops: of each kind what was over before that time; 0: nothing of it."""

    at_ms: int
    """When the run began."""
    policy: int
    """The version of the policy that says so."""
    closed_conversations_ms: int = 0
    quarantine_open_ms: int = 0
    quarantine_replayed_ms: int = 0
    sent_deliveries_ms: int = 0
    dead_letters_ms: int = 0
    identity_reviews_ms: int = 0
    once_keys_ms: int = 0
    """Once-keys of what is dropped stay, where they are not older than this."""


class Dropped(Struct, frozen=True, gc=False):
    """That retention dropped something: when, and under which version of the policy; 0: before either was noted."""

    at_ms: int
    policy: int
