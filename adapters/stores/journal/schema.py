"""The journal's tables. `docs/data-model.md` explains each column."""

from adapters.stores.migrations import Schema

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # Appends only: the key is the rowid, and nothing else is indexed.
    """CREATE TABLE unit (
        position INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        customer TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        identities BLOB,
        entries INTEGER NOT NULL,
        body BLOB NOT NULL)""",
    """CREATE TABLE identity (
        identity TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE fence (
        scope TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL,
        batch INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE refusal (
        scope TEXT NOT NULL,
        batch INTEGER NOT NULL,
        identity TEXT,
        customer TEXT,
        PRIMARY KEY (scope, batch)) WITHOUT ROWID""",
)

_POLICY = (
    # A second copy of few units: a starting journal finds them without a search, and they stay when units are trimmed.
    """CREATE TABLE policy (
        position INTEGER PRIMARY KEY,
        body BLOB NOT NULL)""",
)

# An identity that was released has no customer (an empty one), and the once-keys for whoever gets it next.
_RELEASES = ("ALTER TABLE identity ADD COLUMN once_keys BLOB",)

# Who is a member of whom; see `merged_rules.py`.
_MERGES = (
    """CREATE TABLE merged (
        customer TEXT PRIMARY KEY,
        into_customer TEXT NOT NULL,
        turn INTEGER NOT NULL,
        position INTEGER NOT NULL,
        state TEXT NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX merged_by_into ON merged (into_customer)",
)

# Once-keys that erased customers left, by a mark of the address and not by the address; see `forgotten.py`.
_FORGOTTEN = (
    """CREATE TABLE forgotten (
        mark BLOB PRIMARY KEY,
        position INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        once_keys BLOB NOT NULL) WITHOUT ROWID""",
)

_STEPS = (_FIRST, _POLICY, _RELEASES, _MERGES, _FORGOTTEN)
JOURNAL = Schema(name="journal", application_id=0x54684C6A, steps=_STEPS)  # "ThLj"
