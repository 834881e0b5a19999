"""The measures of lost context: what each means, where it is mended, and how the archive is asked for it.

A measure has two SELECTs. `sql` has a row for each loss: `at_ms`, `channels` (`email → phone`; one channel where there
is no second), `team` (a queue), `product` (a product line), `place`, `example` (the id an operator looks at next), and
`file` and `rule`, what in the policy bundle to look at for this one: the rule as `throughline policy diff` names it.
`occasions` has a row for each time that it could have happened: `at_ms` and `place`. A line's occasions are those of
its place; most are of the very group. Whatever is not known is `''`.

To add one, add it here and to `protocol.losses.Measure`; grouping, counting and examples are the same for all. SQL may
name `WITH_ALL`'s tables.
"""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

from msgspec import Struct

from protocol.losses import Measure as Name

SENDER = "sender"
"""In the place of a file: no rule of ours is at fault, but what the account's program sends."""


class Measure(Struct, frozen=True):
    """One kind of loss."""

    name: Name
    meaning: str
    mend: str
    """The file of the policy bundle that is looked at first."""
    sql: str
    occasions: str


def _product(conversation: str) -> str:
    """What a conversation is about, by its newest contact of which that is known."""
    return f"""coalesce((SELECT product_line FROM interaction AS told
            WHERE told.conversation = {conversation} AND told.product_line <> ''
            ORDER BY told.interaction DESC LIMIT 1), '')"""


def _newest(customer: str) -> str:
    """A customer's newest conversation."""
    return f"""(SELECT latest.conversation FROM conversation AS latest
            WHERE latest.customer = {customer} ORDER BY latest.opened_at_ms DESC LIMIT 1)"""


WITH_ALL = f"""
    -- The channel of an account, which is that of its first contact, and the queue of its newest one.
    line AS (
        SELECT account, channel, queue
        FROM (SELECT account, channel, min(started_at_ms) FROM interaction GROUP BY account)
        JOIN (SELECT account, queue, max(started_at_ms)
              FROM interaction JOIN conversation USING (conversation) GROUP BY account) USING (account)),
    -- Conversations that began soon after another of the customer was done: after the one of these that began last.
    -- One whose contacts are all elsewhere by now was not done by that, and nobody came back by it.
    -- Paired by ids and times alone, which `conversation_by_done` has: a customer's conversations can be thousands.
    -- The `+` takes the column's type off, as the index's expression has none: else only the lower bound is looked up.
    after AS MATERIALIZED (
        SELECT later.conversation AS later, earlier.conversation AS earlier, max(earlier.opened_at_ms)
        FROM conversation AS later
        JOIN conversation AS earlier INDEXED BY conversation_by_done
          ON earlier.customer = later.customer AND earlier.conversation <> later.conversation
         AND coalesce(earlier.resolved_at_ms, earlier.closed_at_ms)
             BETWEEN later.opened_at_ms - :repeat_within_ms AND +later.opened_at_ms
         AND EXISTS (SELECT 1 FROM interaction WHERE interaction.conversation = earlier.conversation)
        WHERE later.opened_at_ms >= :from_ms AND later.opened_at_ms < :until_ms
         AND EXISTS (SELECT 1 FROM interaction WHERE interaction.conversation = later.conversation)
        GROUP BY later.conversation),
    back AS MATERIALIZED (
        SELECT later.opened_at_ms AS at_ms, earlier.channel || ' → ' || coalesce(first.channel, '') AS channels,
            later.queue AS team, {_product("later.conversation")} AS product, later.conversation AS conversation
        FROM after JOIN conversation AS later ON later.conversation = after.later
        JOIN conversation AS earlier ON earlier.conversation = after.earlier
        LEFT JOIN interaction AS first ON first.conversation = later.conversation AND first.interaction = 1
        -- What was imported was nobody's to relate.
        WHERE first.end_reason IS NOT 'imported'),
    -- Where the contact is by now: a correction may have put it elsewhere.
    returned AS (
        SELECT repeat_contact.at_ms, coalesce(earlier.channel, '') || ' → ' || repeat_contact.channel AS channels,
            later.queue AS team, later.conversation,
            coalesce(nullif(contact.product_line, ''), {_product("later.conversation")}) AS product
        FROM repeat_contact
        LEFT JOIN moved ON moved.origin = repeat_contact.conversation
         AND moved.origin_interaction = repeat_contact.interaction
        JOIN conversation AS later
          ON later.conversation = coalesce(moved.conversation, repeat_contact.conversation)
        LEFT JOIN conversation AS earlier ON earlier.conversation = repeat_contact.earlier
        LEFT JOIN interaction AS contact ON contact.conversation = later.conversation
         AND contact.interaction = coalesce(moved.interaction, repeat_contact.interaction)
        WHERE repeat_contact.at_ms >= :from_ms AND repeat_contact.at_ms < :until_ms),
    offer AS (
        SELECT offered_at_ms AS at_ms, conversation.channel AS channels, conversation.queue AS team,
            CASE WHEN offered_to LIKE 'queue:%' THEN substr(offered_to, 7) ELSE conversation.queue END AS asked_team,
            {_product("handoff.conversation")} AS product, handoff.conversation AS conversation, state, missing,
            'kinds.' || handoff.kind AS rule
        FROM handoff JOIN conversation USING (conversation)
        WHERE offered_at_ms >= :from_ms AND offered_at_ms < :until_ms),
    -- Conversations that went from one agent to another, and no handoff did it.
    passed AS (
        SELECT changed.at_ms, conversation.channel AS channels, conversation.queue AS team,
            {_product("changed.stream")} AS product, conversation.conversation AS conversation, 'others' AS rule
        FROM action AS changed JOIN conversation ON conversation.conversation = changed.stream
        WHERE changed.kind = 'owner_changed' AND changed.at_ms >= :from_ms AND changed.at_ms < :until_ms
         AND changed.detail <> '' AND coalesce((
            SELECT previous.detail FROM action AS previous
            WHERE previous.stream = changed.stream AND previous.seq < changed.seq AND previous.kind = 'owner_changed'
            ORDER BY previous.seq DESC LIMIT 1), '') NOT IN ('', changed.detail)
         AND NOT EXISTS (
            SELECT 1 FROM handoff WHERE handoff.conversation = changed.stream
             AND handoff.state = 'accepted' AND handoff.ended_at_ms = changed.at_ms)),
    switched AS (
        SELECT at_ms, from_channel || ' → ' || to_channel AS channels, conversation.queue AS team,
            {_product("channel_switch.conversation")} AS product, channel_switch.conversation AS conversation,
            missing_count, 'switches' || CASE rule WHEN '' THEN '' ELSE '.' || rule END AS rule
        FROM channel_switch JOIN conversation USING (conversation)
        WHERE at_ms >= :from_ms AND at_ms < :until_ms),
    asked AS MATERIALIZED (
        SELECT missing_field.at_ms, missing_field.channel, missing_field.channel AS channels,
            conversation.queue AS team, {_product("missing_field.conversation")} AS product,
            conversation.customer AS customer, conversation.conversation, stream, seq, field,
            'templates[' || template || '].fields[' || field || ']' AS rule
        FROM missing_field JOIN conversation USING (conversation)
        WHERE action IN ('ask_customer', 'ask_agent')
         AND missing_field.at_ms >= :from_ms AND missing_field.at_ms < :until_ms),
    -- Where a field that was asked for was known: by customer, field and channel the first two of their conversations
    -- that had it, one of which is another one than that which asks. All of them could be hundreds for each question.
    known AS MATERIALIZED (
        SELECT customer, key, channel, conversation, at_ms FROM (
            SELECT wanted.customer, item.key, item.channel, item.conversation, item.at_ms,
                row_number() OVER (PARTITION BY wanted.customer, item.key, item.channel ORDER BY item.at_ms) AS nth
            FROM (SELECT DISTINCT customer, field FROM asked) AS wanted
            JOIN conversation AS other ON other.customer = wanted.customer
            JOIN context_item AS item ON item.conversation = other.conversation AND item.key = wanted.field)
        WHERE nth <= 2)"""
"""Tables by name that several measures stand on; one that a query does not name costs nothing. Each is bounded by the
time that is asked for, before anything is joined to it: a week's report reads a week's losses."""

_ADDRESS = "substr(identity, length(kind) + 2)"
_GROUP = "channels || ' | ' || team || ' | ' || product AS place"

MEASURES = (
    Measure(
        "quarantined",
        "an event was refused, so nobody sees what it said",
        "capture.yaml",
        f"""SELECT quarantine.at_ms, coalesce(line.channel, quarantine.account) AS channels,
            coalesce(newest.queue, line.queue, '') AS team,
            coalesce(nullif(quarantine.product_line, ''), {_product("newest.conversation")}) AS product,
            coalesce(line.channel, quarantine.account) AS place, quarantine AS example,
            CASE WHEN rule LIKE 'capture:%' THEN 'capture.yaml' WHEN code = 4204 THEN 'capture.yaml'
                WHEN code = 4206 THEN 'identity.yaml' WHEN code = 4209 THEN 'accounts.yaml' ELSE '{SENDER}' END AS file,
            CASE WHEN rule LIKE 'capture:%' THEN 'templates[' || substr(rule, 9) || '].fields[' || field || ']'
                WHEN code = 4204 THEN 'templates[' || coalesce(line.channel, quarantine.account) || '].identities'
                WHEN code = 4206 THEN 'match' WHEN code = 4209 THEN quarantine.account
                ELSE coalesce(nullif(rule, ''), 'schema') || CASE field WHEN '' THEN '' ELSE ': ' || field END END
                AS rule
        FROM quarantine LEFT JOIN line ON line.account = quarantine.account
        LEFT JOIN conversation AS newest ON newest.conversation = {_newest("quarantine.stream")}
        WHERE replayed_at_ms IS NULL""",
        """SELECT started_at_ms AS at_ms, channel AS place FROM interaction
        UNION ALL SELECT at_ms, coalesce(line.channel, quarantine.account) FROM quarantine LEFT JOIN line
            ON line.account = quarantine.account WHERE replayed_at_ms IS NULL""",
    ),
    Measure(
        "repeat_without_relation",
        "the customer came back soon after their issue was done, and nothing says that it is the same",
        "correlation.yaml",
        f"""SELECT *, {_GROUP}, conversation AS example, 'correlation.yaml' AS file, 'repeat_within' AS rule FROM back
        WHERE NOT EXISTS (SELECT 1 FROM relation WHERE relation.conversation = back.conversation)""",
        f"SELECT at_ms, {_GROUP} FROM back",
    ),
    Measure(
        "repeat_contact",
        "the customer came back about what was said to be done",
        "correlation.yaml",
        f"""SELECT *, {_GROUP}, conversation AS example, 'correlation.yaml' AS file, 'repeat_within' AS rule
        FROM returned""",
        f"""SELECT at_ms, {_GROUP} FROM returned
        UNION ALL SELECT at_ms, {_GROUP} FROM back WHERE conversation NOT IN (SELECT conversation FROM returned)""",
    ),
    Measure(
        "correlation_corrected",
        "an agent had to say which issue a contact belongs to",
        "correlation.yaml",
        f"""SELECT *, {_GROUP}, 'correlation.yaml' AS file, 'windows' AS rule FROM (
            SELECT correction.at_ms,
                CASE WHEN earlier_channel IN ('', correction.channel) THEN correction.channel
                ELSE earlier_channel || ' → ' || correction.channel END AS channels,
                conversation.queue AS team, {_product("correction.conversation")} AS product,
                correction.conversation AS example
            FROM correction JOIN conversation USING (conversation)
            -- What is taken apart with its customers was put together with them.
            WHERE kind <> 'unmerge')""",
        f"""SELECT at_ms, {_GROUP} FROM (
            SELECT contact.started_at_ms AS at_ms,
                CASE WHEN coalesce(before.channel, contact.channel) = contact.channel THEN contact.channel
                ELSE before.channel || ' → ' || contact.channel END AS channels,
                conversation.queue AS team, {_product("contact.conversation")} AS product
            FROM interaction AS contact JOIN conversation USING (conversation)
            LEFT JOIN interaction AS before ON before.conversation = contact.conversation
             AND before.interaction = contact.interaction - 1
            WHERE contact.started_at_ms >= :from_ms AND contact.started_at_ms < :until_ms
            -- One that was split off, or begins what was related, has none before it where it is.
            UNION ALL SELECT correction.at_ms, earlier_channel || ' → ' || correction.channel, conversation.queue,
                {_product("correction.conversation")}
            FROM correction JOIN conversation USING (conversation)
            WHERE kind <> 'join' AND earlier_channel NOT IN ('', correction.channel))""",
    ),
    Measure(
        "handoff_unacknowledged",
        "a conversation was offered or given on, and nobody acknowledged its context",
        "handoffs.yaml",
        f"""SELECT *, {_GROUP}, conversation AS example, 'handoffs.yaml' AS file FROM (
            SELECT at_ms, channels, asked_team AS team, product, conversation, rule
            FROM offer WHERE state IN ('declined', 'expired', 'withdrawn')
            UNION ALL SELECT at_ms, channels, team, product, conversation, rule FROM passed)""",
        f"""SELECT at_ms, {_GROUP} FROM (
            SELECT at_ms, channels, asked_team AS team, product FROM offer WHERE state <> 'offered'
            UNION ALL SELECT at_ms, channels, team, product FROM passed)""",
    ),
    Measure(
        "incomplete_package",
        "a conversation was handed on without what its protocol asks for",
        "handoffs.yaml",
        f"""SELECT *, {_GROUP}, conversation AS example, 'handoffs.yaml' AS file FROM offer WHERE missing <> '[]'""",
        f"SELECT at_ms, {_GROUP} FROM offer",
    ),
    Measure(
        "switch_missing",
        "a conversation changed channels, and what is required there was not known",
        "context.yaml",
        f"""SELECT *, {_GROUP}, conversation AS example, 'context.yaml' AS file FROM switched
        WHERE missing_count > 0""",
        f"SELECT at_ms, {_GROUP} FROM switched",
    ),
    Measure(
        "asked_again",
        "a field was asked for although another of the customer's conversations had it",
        "capture.yaml",
        f"""SELECT asked.at_ms, max(known.channel) || ' → ' || asked.channel AS channels, team, product,
            {_GROUP.replace("channels", "asked.channels", 1)}, asked.conversation AS example, 'capture.yaml' AS file,
            asked.rule
        FROM asked JOIN known ON known.customer = asked.customer AND known.key = asked.field
         AND known.at_ms < asked.at_ms AND known.conversation <> asked.conversation
        GROUP BY asked.stream, asked.seq""",
        f"SELECT at_ms, {_GROUP} FROM asked",
    ),
    Measure(
        "identity_conflict",
        "an address was claimed for two customers: one of them is not seen whole",
        "identity.yaml",
        f"""SELECT action.at_ms, coalesce(newest.channel, '') AS channels, coalesce(newest.queue, '') AS team,
            {_product("newest.conversation")} AS product, 'all' AS place, action.stream AS example,
            'identity.yaml' AS file, 'match' AS rule
        FROM action LEFT JOIN conversation AS newest ON newest.conversation = {_newest("action.stream")}
        WHERE action.kind = 'identity_conflict'""",
        """SELECT linked_at_ms AS at_ms, 'all' AS place FROM identity
        UNION ALL SELECT at_ms, 'all' FROM action WHERE kind = 'identity_conflict'""",
    ),
    Measure(
        "duplicate_identity",
        "one address, such as a number, is two customers by two channels",
        "identity.yaml",
        # The team is that of the newest conversation of any of them.
        f"""SELECT at_ms, channels, coalesce(conversation.queue, '') AS team,
            {_product("conversation.conversation")} AS product,
            'all' AS place, example, 'identity.yaml' AS file, 'alike' AS rule
        FROM (
            SELECT max(linked_at_ms) AS at_ms, group_concat(kind, ' → ') AS channels,
                min(customer) || ',' || max(customer) AS example,
                substr(max(printf('%020d', coalesce(opened_at_ms, 0)) || coalesce(conversation, '')), 21) AS last
            FROM (
                SELECT kind, identity.customer, linked_at_ms, opened_at_ms, conversation, {_ADDRESS} AS address
                FROM identity LEFT JOIN conversation ON conversation = {_newest("identity.customer")}
                WHERE {_ADDRESS} IN (
                    SELECT {_ADDRESS} FROM identity GROUP BY 1 HAVING min(customer) <> max(customer))
                ORDER BY linked_at_ms)
            WHERE address <> '' GROUP BY address) AS double
        LEFT JOIN conversation ON conversation.conversation = double.last""",
        "SELECT linked_at_ms AS at_ms, 'all' AS place FROM identity",
    ),
)
