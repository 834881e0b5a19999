"""The archive's tables and indexes, and how each table's rows are written. `docs/data-model.md` explains each column.

Keys are the ids people see, and most tables are stored in the order of their key (`WITHOUT ROWID`), so that what
belongs to one customer or conversation lies together: their ids begin alike. `event` is appended in the journal's
order. What costs an event most is the pages it changes, each of which is written twice: so what was said stands once,
in `event`, and `message` and `activity` are views of it; and an index is here only where a query of
`archive_queries.py` or a promise needs it.
"""

from msgspec import Struct

from adapters.stores.archive_search import SEARCH_SCHEMA
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

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('generation', ''), ('position', 0), ('events', 0), ('pruned_before_ms', 0)",
    """CREATE TABLE customer (
        customer TEXT PRIMARY KEY,
        since_ms INTEGER NOT NULL,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE identity (
        identity TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        kind TEXT NOT NULL,
        evidence TEXT NOT NULL,
        verified INTEGER NOT NULL,
        account TEXT NOT NULL,
        linked_by TEXT NOT NULL,
        linked_at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX identity_by_customer ON identity (customer)",
    """CREATE TABLE conversation (
        conversation TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        status TEXT NOT NULL,
        queue TEXT NOT NULL,
        owner TEXT NOT NULL,
        subject TEXT NOT NULL,
        channel TEXT NOT NULL,
        head INTEGER NOT NULL,
        opened_at_ms INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        wake_at_ms INTEGER,
        close_at_ms INTEGER,
        resolved_at_ms INTEGER,
        closed_at_ms INTEGER,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX conversation_by_customer ON conversation (customer)",
    # For retention, and only of what is over: a live conversation costs this index nothing.
    "CREATE INDEX conversation_by_close ON conversation (closed_at_ms) WHERE closed_at_ms IS NOT NULL",
    """CREATE TABLE interaction (
        conversation TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        channel TEXT NOT NULL,
        account TEXT NOT NULL,
        identity TEXT NOT NULL,
        direction TEXT NOT NULL,
        session TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL,
        ended_at_ms INTEGER,
        end_reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, interaction)) WITHOUT ROWID""",
    """CREATE TABLE relation (
        conversation TEXT NOT NULL,
        earlier TEXT NOT NULL,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, earlier)) WITHOUT ROWID""",
    # Of messages with files alone. Retention asks which files are named.
    """CREATE TABLE attachment (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        n INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        url TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq, n)) WITHOUT ROWID""",
    "CREATE INDEX attachment_by_file ON attachment (sha256)",
    """CREATE TABLE context_item (
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        channel TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        sensitivity TEXT NOT NULL,
        version INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, key)) WITHOUT ROWID""",
    """CREATE TABLE action (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        detail TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (stream, seq)) WITHOUT ROWID""",
    """CREATE TABLE work (
        conversation TEXT PRIMARY KEY,
        queue TEXT NOT NULL,
        owner TEXT NOT NULL,
        status TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX work_by_queue ON work (queue, status)",
    "CREATE INDEX work_by_owner ON work (owner, status)",
    # Appended in the journal's order. It has the one index that costs each event something.
    """CREATE TABLE event (
        position INTEGER NOT NULL,
        n INTEGER NOT NULL,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        type TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        body TEXT NOT NULL)""",
    # Unique: a stream that forks must never get this far, and if it does the archive stops.
    "CREATE UNIQUE INDEX event_by_stream ON event (stream, seq)",
    """CREATE TABLE snapshot (
        customer TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        body BLOB NOT NULL)""",
    """CREATE TABLE outbox (
        delivery TEXT PRIMARY KEY,
        conversation TEXT NOT NULL,
        customer TEXT NOT NULL,
        shard INTEGER NOT NULL,
        channel TEXT NOT NULL,
        account TEXT NOT NULL,
        recipient TEXT NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        queued_at_ms INTEGER NOT NULL,
        next_at_ms INTEGER,
        sent_at_ms INTEGER,
        external_id TEXT NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        confirmed TEXT NOT NULL,
        position INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX outbox_by_state ON outbox (state, queued_at_ms) WHERE state <> 'sent'",
    # Retention, of sent ones alone.
    "CREATE INDEX outbox_by_sending ON outbox (sent_at_ms) WHERE sent_at_ms IS NOT NULL",
    """CREATE TABLE timer (
        stream TEXT NOT NULL,
        kind TEXT NOT NULL,
        customer TEXT NOT NULL,
        shard INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (stream, kind)) WITHOUT ROWID""",
    "CREATE INDEX timer_by_due ON timer (due_ms)",
    """CREATE TABLE quarantine (
        quarantine TEXT PRIMARY KEY,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        account TEXT NOT NULL,
        source TEXT NOT NULL,
        id TEXT NOT NULL,
        code INTEGER NOT NULL,
        field TEXT NOT NULL,
        reason TEXT NOT NULL,
        raw BLOB NOT NULL,
        received_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        replayed_at_ms INTEGER,
        position INTEGER NOT NULL)""",
    "CREATE INDEX quarantine_by_time ON quarantine (at_ms)",
    """CREATE VIEW message AS SELECT
        stream AS conversation,
        seq,
        json_extract(body, '$.interaction') AS interaction,
        CASE type WHEN 'MessageQueued' THEN 'outbound' ELSE 'inbound' END AS direction,
        json_extract(body, '$.channel') AS channel,
        json_extract(body, CASE type WHEN 'MessageQueued' THEN '$.to' ELSE '$.identity' END) AS identity,
        actor AS author,
        type = 'AutomaticReplyReceived' AS automatic,
        at_ms,
        json_extract(body, '$.provider_ms') AS provider_ms,
        coalesce(json_extract(body, '$.subject'), '') AS subject,
        json_extract(body, '$.text') AS text,
        json_extract(body, '$.attachments') AS attachments,
        coalesce(json_extract(body, '$.reference'), '') AS reference,
        json_extract(body, '$.delivery') AS delivery,
        position
    FROM event WHERE type IN ('MessageReceived', 'MessageQueued', 'AutomaticReplyReceived')""",
    """CREATE VIEW activity AS SELECT
        stream,
        seq,
        json_extract(body, '$.interaction') AS interaction,
        json_extract(body, '$.channel') AS channel,
        json_extract(body, '$.identity') AS identity,
        at_ms,
        json_extract(body, '$.provider_ms') AS provider_ms,
        json_extract(body, '$.name') AS name,
        coalesce(json_extract(body, '$.properties'), '{}') AS properties,
        position
    FROM event WHERE type = 'ActivitySeen'""",
)

_HANDOFFS = (
    """CREATE TABLE handoff (
        conversation TEXT NOT NULL,
        lease INTEGER NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        giver TEXT NOT NULL,
        offered_to TEXT NOT NULL,
        continuity TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        items INTEGER NOT NULL,
        missing TEXT NOT NULL,
        seq INTEGER NOT NULL,
        offered_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        ended_at_ms INTEGER,
        ended_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        policy INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, lease)) WITHOUT ROWID""",
    # Of open ones alone: the lists of those whom something is offered to.
    "CREATE INDEX handoff_by_taker ON handoff (offered_to) WHERE state = 'offered'",
    "CREATE INDEX handoff_by_time ON handoff (offered_at_ms)",
)

_CONTEXT = (
    # What stands, as before, and by which rule; what each source says stands beside it.
    "ALTER TABLE context_item RENAME TO context_item_1",
    """CREATE TABLE context_item (
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        channel TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        sensitivity TEXT NOT NULL,
        version INTEGER NOT NULL,
        verified INTEGER NOT NULL,
        rule TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, key)) WITHOUT ROWID""",
    """INSERT INTO context_item
    SELECT conversation, key, value, channel, interaction, actor, at_ms, sensitivity, version, 0, '', position
    FROM context_item_1""",
    "DROP TABLE context_item_1",
    """CREATE TABLE context_value (
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        channel TEXT NOT NULL,
        source TEXT NOT NULL,
        value TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        sensitivity TEXT NOT NULL,
        version INTEGER NOT NULL,
        verified INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, key, channel, source)) WITHOUT ROWID""",
    # Each source's newest word, from the events, as a rebuild would have it.
    """INSERT OR REPLACE INTO context_value
    SELECT stream, body ->> '$.key', coalesce(body ->> '$.channel', ''),
        CASE WHEN actor LIKE 'agent:%' THEN 'agent' WHEN actor LIKE 'system%' THEN 'system' ELSE 'customer' END,
        body -> '$.value', coalesce(body ->> '$.interaction', 0), actor, at_ms,
        coalesce(body ->> '$.sensitivity', 'normal'), coalesce(body ->> '$.version', 1), 0, position
    FROM event WHERE type = 'ContextSet' ORDER BY position, n""",
    """CREATE TABLE context_withheld (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        key TEXT NOT NULL,
        channel TEXT NOT NULL,
        rule TEXT NOT NULL,
        policy INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq, key)) WITHOUT ROWID""",
    """CREATE TABLE channel_switch (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        from_channel TEXT NOT NULL,
        to_channel TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        caused_by TEXT NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        continuity TEXT NOT NULL,
        rule TEXT NOT NULL,
        policy INTEGER NOT NULL,
        required TEXT NOT NULL,
        missing TEXT NOT NULL,
        missing_count INTEGER NOT NULL,
        items_before INTEGER NOT NULL,
        items_after INTEGER NOT NULL,
        kept INTEGER NOT NULL,
        proof_before TEXT NOT NULL,
        proof_after TEXT NOT NULL,
        reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
)
_POLICY = (
    """CREATE VIEW policy AS SELECT
        json_extract(body, '$.version') AS version,
        at_ms,
        actor,
        coalesce(json_extract(body, '$.note'), '') AS note,
        json_extract(body, '$.files') AS files,
        position
    FROM event WHERE stream = 'policy'""",
)

_CAPTURE = (
    "ALTER TABLE quarantine ADD COLUMN rule TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE quarantine ADD COLUMN policy INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE quarantine ADD COLUMN replaying_at_ms INTEGER",
    "ALTER TABLE quarantine ADD COLUMN edited BLOB",
    "ALTER TABLE quarantine ADD COLUMN refused_code INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE quarantine ADD COLUMN refused_field TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE quarantine ADD COLUMN refused_reason TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE quarantine ADD COLUMN replayed_stream TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE quarantine ADD COLUMN replayed_seq INTEGER NOT NULL DEFAULT 0",
    """CREATE VIEW missing_field AS SELECT
        event.stream AS conversation,
        event.seq,
        json_extract(event.body, '$.field') AS field,
        json_extract(event.body, '$.interaction') AS interaction,
        json_extract(event.body, '$.channel') AS channel,
        json_extract(event.body, '$.template') AS template,
        coalesce(json_extract(event.body, '$.policy'), 0) AS policy,
        json_extract(event.body, '$.action') AS action,
        coalesce(json_extract(event.body, '$.delivery'), '') AS delivery,
        coalesce(json_extract(event.body, '$.reason'), '') AS reason,
        event.at_ms,
        (SELECT item.at_ms FROM context_item AS item
         WHERE item.conversation = event.stream AND item.key = json_extract(event.body, '$.field')) AS known_at_ms,
        event.position
    FROM event WHERE event.type = 'FieldMissing'""",
)

_RELATIONS = (
    *(
        f"ALTER TABLE interaction ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
        for name in ("reason", "topic", "intent", "product_line", "segment")
    ),
    *(
        f"ALTER TABLE interaction ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"
        for name in ("prior_actions", "resolution_attempts", "unresolved_before")
    ),
    """CREATE TABLE interaction_key (
        conversation TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, interaction, key)) WITHOUT ROWID""",
    "CREATE INDEX interaction_key_by_key ON interaction_key (key)",
    # Of corrected interactions alone: where their messages are, and where they belong.
    """CREATE TABLE moved (
        origin TEXT NOT NULL,
        origin_interaction INTEGER NOT NULL,
        conversation TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (origin, origin_interaction)) WITHOUT ROWID""",
    "CREATE INDEX moved_by_conversation ON moved (conversation, interaction)",
    """CREATE TABLE correction (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        other TEXT NOT NULL,
        interactions TEXT NOT NULL,
        relation TEXT NOT NULL,
        previous_relation TEXT NOT NULL,
        earlier_channel TEXT NOT NULL,
        channel TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
    """CREATE TABLE repeat_contact (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        interaction INTEGER NOT NULL,
        earlier TEXT NOT NULL,
        topic TEXT NOT NULL,
        channel TEXT NOT NULL,
        resolved_at_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
    """CREATE VIEW tag AS SELECT
        stream AS conversation,
        seq,
        json_extract(body, '$.interaction') AS interaction,
        dimension.key AS dimension,
        json_extract(dimension.value, '$.value') AS value,
        json_extract(dimension.value, '$.tagger') AS tagger,
        coalesce(json_extract(dimension.value, '$.matched'), '') AS matched,
        actor,
        at_ms,
        position
    FROM event, json_each(body) AS dimension
    WHERE event.type = 'InteractionTagged' AND dimension.key IN ('topic', 'intent', 'product_line', 'segment')""",
)

_IDENTITY = (
    "ALTER TABLE identity ADD COLUMN confidence INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE identity_review (
        customer TEXT NOT NULL,
        identity TEXT NOT NULL,
        other TEXT NOT NULL,
        kind TEXT NOT NULL,
        evidence TEXT NOT NULL,
        verified INTEGER NOT NULL,
        confidence INTEGER NOT NULL,
        found_by TEXT NOT NULL,
        found_at_ms INTEGER NOT NULL,
        closed_by TEXT NOT NULL,
        closed_at_ms INTEGER,
        reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (customer, identity, other)) WITHOUT ROWID""",
    # From the events, as a rebuild would have it.
    """INSERT OR REPLACE INTO identity_review
    SELECT stream, body ->> '$.identity', body ->> '$.other', 'conflict', '', 0, 0, actor, at_ms, '', NULL, '', position
    FROM event WHERE type = 'IdentityConflictFound' ORDER BY position, n""",
    # How many customers claim an identity.
    "CREATE INDEX identity_review_by_identity ON identity_review (identity, customer)",
    "CREATE INDEX identity_review_open ON identity_review (found_at_ms) WHERE closed_at_ms IS NULL",
)

_RETENTION = (
    "ALTER TABLE outbox ADD COLUMN dead_at_ms INTEGER",
    """UPDATE outbox SET dead_at_ms = (
        SELECT max(at_ms) FROM event WHERE event.stream = outbox.conversation AND type = 'DeliveryDead'
        AND body ->> '$.delivery' = outbox.delivery)
    WHERE state = 'dead'""",
    """CREATE TABLE IF NOT EXISTS dropped (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS retention (
        kind TEXT PRIMARY KEY,
        before_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        dropped INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS dropped_by_time ON dropped (at_ms) WHERE kind <> 'conversation'",
    # What was dropped before it was noted.
    """INSERT OR IGNORE INTO dropped SELECT 'conversation', conversation, 0, 0, position
    FROM conversation WHERE status = 'closed' AND closed_at_ms IS NULL""",
    "CREATE INDEX event_dropped ON event (at_ms) WHERE type = 'FactDropped'",
)
RETENTION_TABLES = ("dropped", "retention")
"""They say what there was, and stay when the archive is made anew."""

_FINDINGS = (
    """CREATE TABLE report (
        report INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        policy INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        request TEXT NOT NULL,
        from_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        lines INTEGER NOT NULL,
        opened INTEGER NOT NULL,
        compared INTEGER NOT NULL,
        position INTEGER NOT NULL)""",
    """CREATE TABLE finding (
        finding TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        measure TEXT NOT NULL,
        channels TEXT NOT NULL,
        team TEXT NOT NULL,
        product TEXT NOT NULL,
        place TEXT NOT NULL,
        file TEXT NOT NULL,
        rule TEXT NOT NULL,
        opened_at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        from_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        count INTEGER NOT NULL,
        occasions INTEGER NOT NULL,
        examples TEXT NOT NULL,
        earlier TEXT NOT NULL,
        changed_version INTEGER NOT NULL,
        changed_since_ms INTEGER,
        changed_by TEXT NOT NULL,
        changed_rules TEXT NOT NULL,
        compared_at_ms INTEGER,
        compared_version INTEGER NOT NULL,
        before_count INTEGER,
        before_occasions INTEGER,
        after_from_ms INTEGER,
        after_until_ms INTEGER,
        after_count INTEGER,
        after_occasions INTEGER,
        outcome TEXT NOT NULL,
        dismissed_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        closed_at_ms INTEGER,
        position INTEGER NOT NULL) WITHOUT ROWID""",
)

_CARRIED = (
    # Which earlier conversation a value was said in; and what each new conversation took along, from its first event.
    "ALTER TABLE context_item ADD COLUMN came_from TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE context_value ADD COLUMN came_from TEXT NOT NULL DEFAULT ''",
    """CREATE VIEW carry_over AS SELECT
        stream AS conversation,
        json_extract(body, '$.carried.conversation') AS earlier,
        coalesce(json_extract(body, '$.carried.subject'), '') AS subject,
        coalesce(json_extract(body, '$.carried.topic'), '') AS topic,
        coalesce(json_extract(body, '$.carried.unresolved'), 0) AS unresolved,
        coalesce(json_extract(body, '$.carried.resolution_attempts'), 0) AS resolution_attempts,
        coalesce(json_extract(body, '$.carried.actions'), '[]') AS actions,
        coalesce(json_extract(body, '$.carried.items'), 0) AS items,
        coalesce(json_extract(body, '$.carried.left'), '[]') AS left_behind,
        coalesce(json_extract(body, '$.carried.crowded'), 0) AS crowded,
        coalesce(json_extract(body, '$.carried.rule'), '') AS rule,
        coalesce(json_extract(body, '$.policy'), 0) AS policy,
        at_ms,
        position
    FROM event WHERE seq = 1 AND type = 'ConversationOpened' AND json_extract(body, '$.carried') IS NOT NULL""",
)

_KNOWN = (
    # A field is known as everywhere else: not as nothing, and also by what tells what the contact is about.
    "DROP VIEW missing_field",
    """CREATE VIEW missing_field AS SELECT
        event.stream AS conversation,
        event.seq,
        json_extract(event.body, '$.field') AS field,
        json_extract(event.body, '$.interaction') AS interaction,
        json_extract(event.body, '$.channel') AS channel,
        json_extract(event.body, '$.template') AS template,
        coalesce(json_extract(event.body, '$.policy'), 0) AS policy,
        json_extract(event.body, '$.action') AS action,
        coalesce(json_extract(event.body, '$.delivery'), '') AS delivery,
        coalesce(json_extract(event.body, '$.reason'), '') AS reason,
        event.at_ms,
        coalesce(
            (SELECT item.at_ms FROM context_item AS item
             WHERE item.conversation = event.stream AND item.key = json_extract(event.body, '$.field')
             AND item.value NOT IN ('null', '""')),
            (SELECT min(tagged.at_ms) FROM event AS tagged
             WHERE tagged.stream = event.stream AND tagged.type = 'InteractionTagged'
             AND CASE json_extract(event.body, '$.field')
                 WHEN 'topic' THEN tagged.body -> '$.topic' WHEN 'intent' THEN tagged.body -> '$.intent'
                 WHEN 'product_line' THEN tagged.body -> '$.product_line'
                 WHEN 'segment' THEN tagged.body -> '$.segment'
                 ELSE (SELECT 1 FROM json_each(tagged.body, '$.keys') AS named
                       WHERE substr(named.value, 1, instr(named.value, ':') - 1) = json_extract(event.body, '$.field'))
                 END IS NOT NULL)) AS known_at_ms,
        event.position
    FROM event WHERE event.type = 'FieldMissing'""",
)

_MERGES = (
    # Whose its affairs are, where they are not its own.
    "ALTER TABLE customer ADD COLUMN merged_into TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX customer_by_merge ON customer (merged_into) WHERE merged_into <> ''",
)

_LOSSES = (
    "ALTER TABLE quarantine ADD COLUMN product_line TEXT NOT NULL DEFAULT ''",
    # `event` is by far the largest table, and few of its rows are these.
    "CREATE INDEX event_missing ON event (at_ms) WHERE type = 'FieldMissing'",
)

ARCHIVE = Schema(
    name="archive",
    application_id=0x54684C61,  # "ThLa"
    steps=(
        _FIRST,
        _HANDOFFS,
        _CONTEXT,
        _POLICY,
        _CAPTURE,
        SEARCH_SCHEMA,
        _RELATIONS,
        _IDENTITY,
        _RETENTION,
        _FINDINGS,
        _CARRIED,
        _KNOWN,
        _MERGES,
        _LOSSES,
    ),
)
