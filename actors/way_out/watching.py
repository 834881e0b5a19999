"""Watching: who wants to see what in a cell. Lines are gateways; they fan out to their agents.

A conversation's watchers get every committed event; a list's watchers get rows that changed. Heads are what watchers of
a conversation compare with in heartbeats, so that a lost frame shows.
"""

from collections.abc import Collection, Iterable

from actors.cells.live import Live
from actors.lines import Line
from actors.state.conversation import Conversation
from actors.way_out.conversation_views import lists_of, summary
from protocol.ids import customer_of
from protocol.journal import Entry
from protocol.links import HeadsAre, ListChanged, Overflowed, Updated


class Watchers:
    """The subscriptions of a cell. A line that is new has none."""

    def __init__(self) -> None:
        self._conversations: dict[str, list[Line]] = {}
        self._lists: dict[str, list[Line]] = {}
        self._heads: dict[str, int] = {}
        self._moved: dict[str, None] = {}
        """Watched conversations whose head moved since the last heads."""
        self._dirty: dict[str, Live] = {}
        """Conversations in watched lists of which only the head moved since the last rows, each with its customer's
        place in memory."""
        self._overflowed: dict[Line, None] = {}
        """Lines that were full when they should have been told something."""

    def forget(self, peer: str) -> None:
        """The peer is a new life: it will say again what it watches."""
        for watched in (self._conversations, self._lists):
            for key, lines in list(watched.items()):
                for line in [line for line in lines if line.peer == peer]:
                    self._remove(watched, key, line)
        self._overflowed = {line: None for line in self._overflowed if line.peer != peer}

    def watch(self, conversation: str, line: Line) -> None:
        """The line gets the conversation's updates from now on."""
        _add(self._conversations, conversation, line)

    def unwatch(self, conversation: str, line: Line) -> None:
        """The line gets no more updates of the conversation."""
        self._remove(self._conversations, conversation, line)

    def unwatch_all(self, conversation: str) -> None:
        """The conversation is another cell's from now on: whoever watches it does so there."""
        for line in list(self._conversations.get(conversation, ())):
            self._remove(self._conversations, conversation, line)
        self._dirty.pop(conversation, None)

    def unwatch_of(self, members: Collection[str]) -> None:
        """These customers' conversations are another cell's from now on."""
        for conversation in [each for each in self._conversations if customer_of(each) in members]:
            self.unwatch_all(conversation)
        self._dirty = {id: due for id, due in self._dirty.items() if customer_of(id) not in members}

    def watch_list(self, name: str, line: Line) -> None:
        """The line gets the list's changes from now on."""
        _add(self._lists, name, line)

    def unwatch_list(self, name: str, line: Line) -> None:
        """The line gets no more changes of the list."""
        self._remove(self._lists, name, line)

    def update(self, customer: str, entries: list[Entry]) -> None:
        """Sends committed entries to those who watch their conversations, a run of one stream as one update."""
        start, count = 0, len(entries)
        while start < count:
            stream = entries[start].stream
            end = start + 1
            while end < count and entries[end].stream == stream:
                end += 1
            if stream != customer and (lines := self._conversations.get(stream)):
                updated = Updated(stream, entries[start].seq, [entry.event for entry in entries[start:end]])
                for line in lines:
                    self._send(line, updated)
                self._heads[stream] = entries[end - 1].seq
                self._moved[stream] = None
            start = end

    def relist(self, live: Live, conversation: Conversation, before: tuple[str, ...]) -> None:
        """Tells list watchers of a conversation that changed in a commit. `before`: the lists in which they know it."""
        now = lists_of(conversation)
        if now != before:
            self._dirty.pop(conversation.id, None)
            self._send_row(conversation, now, [name for name in before if name not in now])
        else:
            self.moved(live, conversation)

    def moved(self, live: Live, conversation: Conversation) -> None:
        """The head of a conversation moved and its lists did not change: its row is due with the next `send_rows`."""
        if self._lists and any(name in self._lists for name in lists_of(conversation)):
            self._dirty[conversation.id] = live
        else:
            # A row that is still due shows an older head, perhaps of a journey that has left memory since.
            self._dirty.pop(conversation.id, None)

    def send_rows(self) -> None:
        """Sends the rows of which only the head moved."""
        dirty, self._dirty = self._dirty, {}
        for id, live in dirty.items():
            if live.journey is None or live.gate is not None:
                self._dirty[id] = live  # Nobody may see an uncommitted head: it waits until memory and journal agree.
            elif conversation := live.journey.conversation(id):
                self._send_row(conversation, lists_of(conversation), [])

    def send_heads(self) -> None:
        """Sends each line the heads that moved among what it watches."""
        moved, self._moved = self._moved, {}
        heads: dict[int, tuple[Line, dict[str, int]]] = {}
        for conversation in moved:
            for line in self._conversations.get(conversation, ()):
                heads.setdefault(id(line), (line, {}))[1][conversation] = self._heads[conversation]
        for line, of_line in heads.values():
            self._send(line, HeadsAre(of_line))

    def counts(self) -> dict[str, int]:
        """Figures for operators."""
        return {"watched_conversations": len(self._conversations), "watched_lists": len(self._lists)}

    def _send_row(self, conversation: Conversation, lists: Iterable[str], left: list[str]) -> None:
        watched = [name for name in lists if name in self._lists]
        left = [name for name in left if name in self._lists]
        lines = {id(line): line for name in (*watched, *left) for line in self._lists[name]}
        for line in lines.values():
            self._send(line, ListChanged(summary(conversation), watched, left))

    def send_overflowed(self) -> None:
        """Tells lines that have room again that they lost something; their gateways subscribe anew, and catch up."""
        for line in [line for line in self._overflowed if not line.full]:
            del self._overflowed[line]
            line.send(Overflowed())

    def _send(self, line: Line, message: Updated | HeadsAre | ListChanged) -> None:
        """Outbound never waits: a line that is full loses the message, and hears so when it has room."""
        if line.full:
            self._overflowed[line] = None
        else:
            line.send(message)

    def _remove(self, watched: dict[str, list[Line]], key: str, line: Line) -> None:
        lines = watched.get(key, [])
        if line in lines:
            lines.remove(line)
        if not lines:
            watched.pop(key, None)
            if watched is self._conversations:
                self._heads.pop(key, None)
                self._moved.pop(key, None)


def _add(watched: dict[str, list[Line]], key: str, line: Line) -> None:
    lines = watched.setdefault(key, [])
    if line not in lines:
        lines.append(line)
