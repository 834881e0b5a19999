"""Lists of conversations: all there are, a customer's, and those that wait in a queue or are an agent's.

A page costs what it shows. Those that are over are nearly all, and an index has their order; it would cost each event
something where one is live, so of the others all are looked at, which are as many as people have to do.
"""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import sqlite3
from collections.abc import Sequence
from typing import Any

from adapters.stores.archive.queries import root_of
from protocol.entities import ConversationSummary, Status


def conversations(
    db: sqlite3.Connection,
    *,
    list: str = "",
    customer: str = "",
    status: str = "",
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[ConversationSummary]:
    """Conversations, the newest change first.

    `list` is `queue:<name>` or `owner:<agent>`, both with what is offered there and without the resolved and the
    closed, or `customer:<id>`. `before` is (`updated_at_ms`, `conversation`) of a page's last row and asks for the page
    after it.
    """
    where, values = _listed(list)
    if customer:
        where, values = [*where, "c.customer = ?"], [*values, root_of(db, customer)]
    if status:
        where, values = [*where, "c.status = ?"], [*values, status]
    if before is not None:
        where, values = [*where, "(c.updated_at_ms, c.conversation) < (?, ?)"], [*values, *before]
    sources = _sources(chosen=bool(list or customer), status=status)
    selected = " AND ".join(where) or "1"
    pages = [f"SELECT * FROM (SELECT c.* FROM {source} AND {selected} {_NEWEST_FIRST})" for source in sources]
    rows = db.execute(
        "SELECT c.conversation, c.customer, c.head, c.status, c.queue, c.owner, c.subject, c.channel, c.updated_at_ms, "
        f"coalesce(h.offered_to, '') FROM ({' UNION ALL '.join(pages)}) AS c "
        f"LEFT JOIN handoff h ON h.conversation = c.conversation AND h.state = 'offered' {_NEWEST_FIRST}",
        (*(*values, limit) * len(pages), limit),
    )
    return [_summary(row) for row in rows]


def _sources(*, chosen: bool, status: str) -> Sequence[str]:
    """Where conversations of a status are found (empty: of any), or those that were `chosen` by an index."""
    if chosen:
        return (_ANY,)
    match status:
        case "":
            return _LIVE, _CLOSED
        case "closed":
            return (_CLOSED,)
        case _:
            return (_LIVE,)


_NEWEST_FIRST = "ORDER BY c.updated_at_ms DESC, c.conversation DESC LIMIT ?"
_ANY = "conversation AS c WHERE 1"
_LIVE = "work CROSS JOIN conversation AS c USING (conversation) WHERE 1"
"""All that are not closed are in `work`."""
_CLOSED = "conversation AS c WHERE c.status = 'closed'"


def _listed(name: str) -> tuple[list[str], list[Any]]:
    kind, _, value = name.partition(":")
    match kind:
        case "":
            return [], []
        case "customer":
            home = "coalesce((SELECT nullif(merged_into, '') FROM customer WHERE customer = ?), ?)"
            return [f"c.customer = {home}"], [value, value]
        case "queue" | "owner":
            of_work = f"SELECT conversation FROM work WHERE {kind} = ? AND status IN ('open', 'snoozed')"
            offered = "SELECT conversation FROM handoff WHERE offered_to = ? AND state = 'offered'"
            taker = f"agent:{value}" if kind == "owner" else name
            return [f"c.conversation IN ({of_work} UNION ALL {offered})"], [value, taker]
        case _:
            raise AssertionError(f"no list {name!r}: queue:<name>, owner:<agent> or customer:<id>")


def _summary(row: tuple[Any, ...]) -> ConversationSummary:
    identifier, customer, head, status, queue, owner, subject, channel, updated_at_ms, offered_to = row
    return ConversationSummary(
        conversation=identifier,
        customer=customer,
        head=head,
        status=Status(status),
        queue=queue,
        owner=owner,
        subject=subject,
        channel=channel,
        updated_at_ms=updated_at_ms,
        offered_to=offered_to,
    )
