"""Capture: what the quarantine says of a refusal, and which fields were missing though known."""

CAPTURE = (
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


def _missing_field(known: str) -> str:
    """The view of fields that were missing, with when each became known; `known` says which items of context tell."""
    return f"""CREATE VIEW missing_field AS SELECT
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
             AND {known}),
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
    FROM event WHERE event.type = 'FieldMissing'"""  # noqa: S608 - both texts that are put in stand below


KNOWN = (
    # A field is known as everywhere else: not as nothing, and also by what tells what the contact is about.
    "DROP VIEW missing_field",
    _missing_field("""item.value NOT IN ('null', '""')"""),
)

_BLANK = ", ".join(str(code) for code in range(0x3001) if chr(code).isspace())
BLANKS = (
    # Blank words say nothing, as they do to whoever decides.
    "DROP VIEW missing_field",
    _missing_field(f"trim(json_extract(item.value, '$'), char({_BLANK})) <> ''"),
)

MOVED = (
    # A field is missing where its contact is by now, and is known by what was said of the contacts there, also in the
    # streams that they came from. Two parts, each of which is found by an index.
    "DROP VIEW missing_field",
    f"""CREATE VIEW missing_field AS SELECT
        gap.conversation,
        gap.seq,
        json_extract(gap.body, '$.field') AS field,
        gap.interaction,
        json_extract(gap.body, '$.channel') AS channel,
        json_extract(gap.body, '$.template') AS template,
        coalesce(json_extract(gap.body, '$.policy'), 0) AS policy,
        json_extract(gap.body, '$.action') AS action,
        coalesce(json_extract(gap.body, '$.delivery'), '') AS delivery,
        coalesce(json_extract(gap.body, '$.reason'), '') AS reason,
        gap.at_ms,
        coalesce(
            (SELECT item.at_ms FROM context_item AS item
             WHERE item.conversation = gap.conversation AND item.key = json_extract(gap.body, '$.field')
             AND trim(json_extract(item.value, '$'), char({_BLANK})) <> ''),
            (SELECT min(tagged.at_ms) FROM event AS tagged
             WHERE tagged.stream IN (
                SELECT gap.conversation UNION SELECT origin FROM moved WHERE moved.conversation = gap.conversation)
             AND tagged.type = 'InteractionTagged'
             AND gap.conversation = coalesce(
                (SELECT moved.conversation FROM moved WHERE moved.origin = tagged.stream
                 AND moved.origin_interaction = json_extract(tagged.body, '$.interaction')), tagged.stream)
             AND CASE json_extract(gap.body, '$.field')
                 WHEN 'topic' THEN tagged.body -> '$.topic' WHEN 'intent' THEN tagged.body -> '$.intent'
                 WHEN 'product_line' THEN tagged.body -> '$.product_line'
                 WHEN 'segment' THEN tagged.body -> '$.segment'
                 ELSE (SELECT 1 FROM json_each(tagged.body, '$.keys') AS named
                       WHERE substr(named.value, 1, instr(named.value, ':') - 1) = json_extract(gap.body, '$.field'))
                 END IS NOT NULL)) AS known_at_ms,
        gap.position,
        gap.stream
    FROM (
        SELECT stream AS conversation, json_extract(body, '$.interaction') AS interaction, event.*
        FROM event WHERE type = 'FieldMissing' AND NOT EXISTS (
            SELECT 1 FROM moved WHERE origin = stream AND origin_interaction = json_extract(body, '$.interaction'))
        UNION ALL
        SELECT moved.conversation, moved.interaction, event.*
        FROM event JOIN moved ON origin = stream AND origin_interaction = json_extract(body, '$.interaction')
        WHERE type = 'FieldMissing') AS gap""",  # noqa: S608 - the text that is put in stands above
)
