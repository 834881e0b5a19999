"""The archive's tables and indexes, and how each table's rows are written. `docs/data-model.md` explains each column.

Keys are the ids people see, and most tables are stored in the order of their key (`WITHOUT ROWID`), so that what
belongs to one customer or conversation lies together: their ids begin alike. `event` is appended in the journal's
order. What costs an event most is the pages it changes, each of which is written twice: so what was said stands once,
in `event`, and `message` and `activity` are views of it; and an index is here only where a promise needs it, or what
actors load (`loads.py`), people ask (`queries.py`) or an erasure looks for (`traces.py`).
"""

from msgspec import Struct

from adapters.stores.archive.search import SEARCH_SCHEMA, SUBJECTS
from adapters.stores.archive.steps.capture import BLANKS, CAPTURE, KNOWN, MOVED
from adapters.stores.archive.steps.context import ACCOUNTS, CARRIED, CONTEXT, HANDOFFS
from adapters.stores.archive.steps.correlation import RELATIONS
from adapters.stores.archive.steps.first import FIRST
from adapters.stores.archive.steps.identities import IDENTITY, MERGES
from adapters.stores.archive.steps.policy import POLICY
from adapters.stores.archive.steps.report import FINDINGS, LOSSES, RETURNS
from adapters.stores.archive.steps.retention import CLOSED, KEYED, NUMBERED, REPLAYS, RETENTION
from adapters.stores.migrations import Schema


class Table(Struct, frozen=True):
    """How the rows of a table are named and written."""

    key: tuple[str, ...]
    replaced: bool = False
    """A new row may stand in the place of an old one; elsewhere that is an error."""
    named_outside: bool = False
    """A change may name a row that is not there, since its key came from outside: a channel's report on a delivery,
    an operator's word on a quarantined input. Elsewhere that is an error."""


TABLES: dict[str, Table] = {
    "customer": Table(("customer",)),
    "identity": Table(("identity",), replaced=True),
    "identity_review": Table(("customer", "identity", "other"), replaced=True, named_outside=True),
    "conversation": Table(("conversation",)),
    "interaction": Table(("conversation", "interaction"), replaced=True),
    "interaction_key": Table(("conversation", "interaction", "key"), replaced=True),
    "moved": Table(("origin", "origin_interaction"), replaced=True),
    "relation": Table(("conversation", "earlier"), replaced=True),
    "correction": Table(("conversation", "seq")),
    "repeat_contact": Table(("conversation", "seq")),
    "attachment": Table(("conversation", "seq", "n")),
    "context_item": Table(("conversation", "key"), replaced=True),
    "handoff": Table(("conversation", "lease")),
    "context_value": Table(("conversation", "key", "channel", "source"), replaced=True),
    "context_withheld": Table(("conversation", "seq", "key")),
    "channel_switch": Table(("conversation", "seq")),
    "action": Table(("stream", "seq")),
    "work": Table(("conversation",)),
    "event": Table(("stream", "seq")),
    "outbox": Table(("delivery",), named_outside=True),
    "timer": Table(("stream", "kind"), replaced=True),
    "quarantine": Table(("quarantine",), named_outside=True),
    "report": Table(("report",)),
    "finding": Table(("finding",)),
}
"""The tables the projection writes. `snapshot` and `meta` are the store's own."""

ARCHIVE = Schema(
    name="archive",
    application_id=0x54684C61,  # "ThLa"
    steps=(
        FIRST,
        HANDOFFS,
        CONTEXT,
        POLICY,
        CAPTURE,
        SEARCH_SCHEMA,
        RELATIONS,
        IDENTITY,
        RETENTION,
        FINDINGS,
        CARRIED,
        KNOWN,
        MERGES,
        LOSSES,
        RETURNS,
        SUBJECTS,
        BLANKS,
        MOVED,
        ACCOUNTS,
        REPLAYS,
        CLOSED,
        NUMBERED,
        KEYED,
    ),
)
