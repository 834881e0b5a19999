"""Told rows: how new the row is that list watchers have of a conversation, where customers move between cells.

Changes of a customer that moves come by the pipes of two cells. What the first cell told last may arrive late, since
its pipe had to be made again: it must not put an older row in the place of a newer one.
"""

from protocol.entities import ConversationSummary
from protocol.links import ListChanged
from protocol.oldest import forget_oldest

TOLD_MAX = 20_000
"""Conversations, the one told of longest ago going first: far more than change while a pipe is down for a moment. One
that is forgotten may be shown as it was, until it changes again."""


class ToldRows:
    """The newest head and its lists, by conversation."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, frozenset[str]]] = {}

    def listed(self, name: str, row: ConversationSummary) -> None:
        """A whole list was sent with this row."""
        self._note(row, frozenset([name]))

    def of(self, change: ListChanged) -> ListChanged | None:
        """What list watchers are to be told of a change: all of it; or, of one that is older than what was told, only
        the lists that the conversation left and is not in by now; or nothing."""
        head, lists = self._told.get(change.row.conversation, (0, frozenset()))
        if change.row.head >= head:
            self._note(change.row, frozenset(change.lists))
            return change
        left = [name for name in change.left if name not in lists]
        return ListChanged(change.row, [], left) if left else None

    def _note(self, row: ConversationSummary, lists: frozenset[str]) -> None:
        head, known = self._told.pop(row.conversation, (0, frozenset()))
        if row.head == head:
            lists |= known
        self._told[row.conversation] = (row.head, lists) if row.head >= head else (head, known)
        forget_oldest(self._told, TOLD_MAX)
