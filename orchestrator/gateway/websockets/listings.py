"""Listings: one watched list, who watches it, and the whole lists of it that are on their way to some of them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from protocol.codec import Codec
from protocol.entities import ConversationSummary
from protocol.errors import Refusal
from protocol.links import ListChanged

CHANGES_MAX = 10_000
"""Changes gathered while a list is being read; past it the oldest go, and the rows they changed may be listed as the
archive had them until they change again."""


class ListWatcher(Protocol):
    """An agent's connection, as the inboxes see it."""

    codec: Codec

    def answer(self, frame: bytes) -> None:
        """Takes a whole list: kept until it is sent."""
        ...

    def change(self, frame: bytes, inbox: str) -> bool:
        """Takes changed rows, or a whole list that was not asked for. False where the queue overflowed: `overflowed`
        must follow."""
        ...

    def overflowed(self) -> None:
        """Leaves everything that lost frames."""
        ...

    def inbox_failed(self, inbox: str, refusal: Refusal) -> None:
        """A watch that stood has ended."""
        ...


Done = Callable[[Refusal | None], None]
"""Hears that the whole list is queued, or why not."""


class Listing:
    """One list on its way to some watchers. `done`: of the one who asked for it, and waits; None where nobody did."""

    def __init__(self, name: str, watchers: dict[ListWatcher, str], done: Done | None) -> None:
        self.name = name
        self.watchers = watchers
        self.done = done
        self.changes: list[ListChanged] = []
        self.unanswered: set[int] = set()
        """Cells that were asked."""
        self.is_read = False
        """Or on its way from the archive."""
        self.position = 0
        self.refused: dict[int, Refusal] = {}
        """By cell, as it answered last."""

    def take(self, change: ListChanged) -> None:
        """It changed while it is on its way."""
        self.changes.append(change)
        del self.changes[:-CHANGES_MAX]

    def with_changes(self, rows: Sequence[ConversationSummary]) -> list[ConversationSummary]:
        """The archive's rows with newer changes applied; a change that the archive had already is passed over."""
        by_conversation = {row.conversation: row for row in rows}
        for change in self.changes:
            listed = by_conversation.get(change.row.conversation)
            if listed and listed.head > change.row.head:
                continue
            if self.name in change.lists:
                by_conversation[change.row.conversation] = change.row
            else:
                by_conversation.pop(change.row.conversation, None)
        return list(by_conversation.values())


class WatchedList:
    """One watched list: its watchers, each with the name it knows the list by (`mine` for `owner:<agent>`)."""

    def __init__(self) -> None:
        self.watchers: dict[ListWatcher, str] = {}
        self.listings: list[Listing] = []
        """Those under way, in the order in which they were begun."""

    def to_come(self) -> Listing | None:
        """The one that nobody asked for and that is not being read yet."""
        return next((each for each in self.listings if each.done is None and not each.is_read), None)
