"""Where context gets lost: what can be counted of it in the archive, by channel pair, team, product line and week.

A measure is one SELECT with a row for each finding: `at_ms`, `channels` (`email → phone`; one channel or account where
there is no second), `team` (a queue), `product`, and `example`, the id an operator looks at next. Whatever is not known
of a finding is `''`. To add one, add it to `MEASURES`; grouping, counting and examples are the same for all.
"""

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

EXAMPLES_MAX = 5
REPEAT_WITHIN_MS = 14 * 86_400_000
"""A customer who is back so soon after "done" was not helped, or is helped about the same again."""
AT_MAX = 2**63 - 1


class Measure(Struct, frozen=True):
    """One kind of loss: what it means, the file of the policy bundle that mends it, and how it is found."""

    name: str
    meaning: str
    mend: str
    sql: str


MEASURES = (
    Measure(
        "quarantined",
        "an event was refused, so nobody sees what it said",
        "capture.yaml",
        """SELECT at_ms, account AS channels, '' AS team, '' AS product, quarantine AS example
        FROM quarantine WHERE replayed_at_ms IS NULL""",
    ),
    Measure(
        "repeat_without_relation",
        "the customer came back soon after their issue was done, and nothing says that it is the same",
        "correlation.yaml",
        """SELECT later.opened_at_ms AS at_ms, earlier.channel || ' → ' || coalesce(first.channel, '') AS channels,
               later.queue AS team, '' AS product, later.conversation AS example
        FROM conversation AS later
        JOIN conversation AS earlier ON earlier.customer = later.customer AND earlier.conversation <> later.conversation
         AND coalesce(earlier.resolved_at_ms, earlier.closed_at_ms)
             BETWEEN later.opened_at_ms - :repeat_within_ms AND later.opened_at_ms
        LEFT JOIN interaction AS first ON first.conversation = later.conversation AND first.interaction = 1
        WHERE NOT EXISTS (SELECT 1 FROM relation WHERE relation.conversation = later.conversation)
        GROUP BY later.conversation HAVING max(earlier.opened_at_ms)""",
    ),
    Measure(
        "repeat_contact",
        "the customer came back about what was said to be done",
        "correlation.yaml",
        """SELECT repeat_contact.at_ms, coalesce(earlier.channel, '') || ' → ' || repeat_contact.channel AS channels,
               later.queue AS team, coalesce(contact.product_line, '') AS product, later.conversation AS example
        FROM repeat_contact JOIN conversation AS later ON later.conversation = repeat_contact.conversation
        LEFT JOIN conversation AS earlier ON earlier.conversation = repeat_contact.earlier
        LEFT JOIN interaction AS contact ON contact.conversation = repeat_contact.conversation
         AND contact.interaction = repeat_contact.interaction""",
    ),
    Measure(
        "correlation_corrected",
        "an agent had to say which issue a contact belongs to",
        "correlation.yaml",
        """SELECT correction.at_ms,
               CASE WHEN earlier_channel IN ('', correction.channel) THEN correction.channel
               ELSE earlier_channel || ' → ' || correction.channel END AS channels,
               conversation.queue AS team, '' AS product, conversation AS example
        FROM correction JOIN conversation USING (conversation)""",
    ),
    Measure(
        "handoff_unacknowledged",
        "a conversation was offered on, and nobody acknowledged its context",
        "handoffs.yaml",
        """SELECT offered_at_ms AS at_ms, conversation.channel AS channels,
               CASE WHEN offered_to LIKE 'queue:%' THEN substr(offered_to, 7) ELSE conversation.queue END AS team,
               '' AS product, conversation AS example
        FROM handoff JOIN conversation USING (conversation) WHERE state IN ('declined', 'expired', 'withdrawn')""",
    ),
    Measure(
        "incomplete_package",
        "a conversation was handed on without what its protocol asks for",
        "handoffs.yaml",
        """SELECT offered_at_ms AS at_ms, conversation.channel AS channels, conversation.queue AS team,
               '' AS product, conversation AS example
        FROM handoff JOIN conversation USING (conversation) WHERE missing <> '[]'""",
    ),
    Measure(
        "switch_missing",
        "a conversation changed channels, and what is required there was not known",
        "context.yaml",
        """SELECT at_ms, from_channel || ' → ' || to_channel AS channels, conversation.queue AS team, '' AS product,
               conversation AS example
        FROM channel_switch JOIN conversation USING (conversation) WHERE missing_count > 0""",
    ),
    Measure(
        "asked_again",
        "a field was asked for although another of the customer's conversations had it",
        "capture.yaml",
        """SELECT asked.at_ms, max(known.channel) || ' → ' || asked.channel AS channels, conversation.queue AS team,
               '' AS product, asked.conversation AS example
        FROM missing_field AS asked JOIN conversation ON conversation.conversation = asked.conversation
        JOIN conversation AS other ON other.customer = conversation.customer
        JOIN context_item AS known ON known.conversation = other.conversation AND known.key = asked.field
         AND known.at_ms < asked.at_ms AND known.conversation <> asked.conversation
        WHERE asked.action IN ('ask_customer', 'ask_agent')
        GROUP BY asked.conversation, asked.seq""",
    ),
    Measure(
        "identity_conflict",
        "an address was claimed for two customers: one of them is not seen whole",
        "identity.yaml",
        """SELECT action.at_ms, coalesce(newest.channel, '') AS channels, coalesce(newest.queue, '') AS team,
               '' AS product, action.stream AS example
        FROM action LEFT JOIN conversation AS newest ON newest.conversation = (
            SELECT conversation FROM conversation WHERE customer = action.stream ORDER BY opened_at_ms DESC LIMIT 1)
        WHERE action.kind = 'identity_conflict'""",
    ),
    Measure(
        "duplicate_identity",
        "one address, such as a number, is two customers by two channels",
        "identity.yaml",
        """SELECT max(linked_at_ms) AS at_ms, group_concat(kind, ' → ') AS channels, '' AS team, '' AS product,
               min(customer) || ',' || max(customer) AS example
        FROM (SELECT *, substr(identity, length(kind) + 2) AS address FROM identity ORDER BY linked_at_ms)
        WHERE address <> '' GROUP BY address HAVING count(DISTINCT customer) > 1""",
    ),
)


def losses(db: sqlite3.Connection, from_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """A row for each measure and group that has findings from `from_ms` to before `until_ms` (0: no bound), the most
    first within a measure. Reads whole tables: seconds where they have millions of rows."""
    bounds = {"from_ms": from_ms, "until_ms": until_ms or AT_MAX, "repeat_within_ms": REPEAT_WITHIN_MS}
    return [row for measure in MEASURES for row in _rows(db, measure, bounds)]


def _rows(db: sqlite3.Connection, measure: Measure, bounds: dict[str, int]) -> list[dict[str, Any]]:
    found = db.execute(_GROUPED.format(sql=measure.sql), bounds | {"examples": EXAMPLES_MAX}).fetchall()
    return [
        {
            "measure": measure.name,
            "channels": channels,
            "team": team,
            "product": product,
            "week": week,
            "count": count,
            "examples": msgspec.json.decode(examples),
            "meaning": measure.meaning,
            "mend": measure.mend,
        }
        for channels, team, product, week, count, examples in found
    ]


_GROUPED = """
    WITH finding AS ({sql}),
    placed AS (
        SELECT *, date(at_ms / 1000, 'unixepoch', 'weekday 0', '-6 days') AS week
        FROM finding WHERE at_ms >= :from_ms AND at_ms < :until_ms),
    numbered AS (
        SELECT *, count(*) OVER same AS findings, row_number() OVER (same ORDER BY at_ms DESC, example) AS nth
        FROM placed WINDOW same AS (PARTITION BY channels, team, product, week))
    SELECT channels, team, product, week, findings, json_group_array(example)
    FROM numbered WHERE nth <= :examples
    GROUP BY channels, team, product, week
    ORDER BY findings DESC, week DESC, channels, team, product"""
"""`week` is its Monday. The week's days are UTC's, as all times here."""
