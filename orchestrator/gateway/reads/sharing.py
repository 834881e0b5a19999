"""Sharing: over how many connections the stores are read for others, and how long one read may take.

What is quick, what may be long and what is counted have connections of their own, so that a list waits for lists at
most. Each token has one of each kind at a time (`adapters/stores/read_pool.py`).
"""

from contextvars import ContextVar

from adapters.stores.read_pool import THE_SERVER, Sharing

ASKER: ContextVar[str] = ContextVar("ASKER", default=THE_SERVER)
"""Whose request it is that something is read for: a token's id. A task has that of whoever began it, which may be a
stream that an HTTP request had paused: who reads for the server says so (`for_the_server`)."""
STRANGER = "stranger"
"""All who ask without a token."""

LISTS = Sharing(connections=2, within_s=5.0, asker=ASKER.get)
"""Lists, and single conversations: milliseconds, and a few hundred of them where all there are is listed."""
HISTORY = Sharing(connections=2, within_s=15.0, asker=ASKER.get)
"""All that is known of a customer or a conversation. Of a customer's 200,000 messages a page takes 0.3 s, and
0.7 s with a word that all of them have."""
REPORTS = Sharing(connections=2, within_s=120.0, asker=ASKER.get)
"""Of all customers, over whatever time is asked for. While one is counted the archive's WAL grows, since what it sees
is kept; so it has an end, and is asked for again by weeks."""

FEED = Sharing(asker=ASKER.get)
"""A hundred units at a time, which is quick; but a filter that fits little asks for all there are."""


def for_the_server() -> None:
    """What the task that is running reads from here on is read for nobody's request."""
    ASKER.set(THE_SERVER)
