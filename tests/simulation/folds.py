"""Folds: what a conversation looked like after each of its committed events, made anew from the ledger."""

from actors.state.conversation import Conversation
from actors.state.evolving import evolve
from actors.way_out.conversation_views import lists_of, summary, view
from protocol.entities import ConversationSummary, ConversationView
from tests.simulation.ledger import Ledger


class Folds:
    """Each conversation is folded once, as far as it is asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._folds: dict[str, _Fold] = {}
        ledger.on_redacted = self._forget

    def _forget(self, stream: str) -> None:
        self._folds.pop(stream, None)

    def view(self, conversation: str, head: int) -> ConversationView | None:
        """As of `head`, without the customer and their identities; None where so much is not committed."""
        fold = self._fold(conversation)
        return fold.views[head - 1] if 0 < head <= len(fold.views) else None

    def views(self, conversation: str) -> list[ConversationView]:
        """After each committed event."""
        return self._fold(conversation).views

    def row(self, conversation: str, head: int) -> ConversationSummary | None:
        """Its row in lists as of `head`."""
        fold = self._fold(conversation)
        return fold.rows[head - 1] if 0 < head <= len(fold.rows) else None

    def lists(self, conversation: str) -> tuple[str, ...]:
        """Those it stands in after all that is committed."""
        return lists_of(self._fold(conversation).state)

    def _fold(self, conversation: str) -> "_Fold":
        fold = self._folds.get(conversation)
        if fold is None:
            fold = self._folds[conversation] = _Fold(conversation)
        events = self._ledger.streams.get(conversation, [])
        for event in events[len(fold.views) :]:
            evolve(fold.state, event, b"")
            fold.views.append(view(fold.state, []))
            fold.rows.append(summary(fold.state))
        return fold


class _Fold:
    def __init__(self, conversation: str) -> None:
        self.state = Conversation(id=conversation, customer="")
        self.views: list[ConversationView] = []
        self.rows: list[ConversationSummary] = []
