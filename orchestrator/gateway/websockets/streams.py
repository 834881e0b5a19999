"""Streams: a watched conversation, who watches it and from where, and what each of them is given.

    the stream's position   the newest `seq` that was given out; what does not follow it is the hub's to catch up on
    a watcher's position    mostly the same; one that joined while the others waited for a gap to close is ahead

An update goes to a watcher only from its own position on, so that nothing is missed or doubled.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Raw

from protocol.codec import Codec
from protocol.errors import Refusal
from protocol.frames import RawSnapshot, RawUpdate
from protocol.ids import customer_of


class Watcher(Protocol):
    """An agent's connection, as the hub sees it."""

    codec: Codec

    @property
    def asker(self) -> str:
        """Whose connection it is: what is read for it takes their turn."""
        ...

    def answer(self, frame: bytes) -> None:
        """Takes the answer to its own watch: kept until it is sent."""
        ...

    def update(self, frame: bytes, conversation: str) -> bool:
        """Takes an update. False where the queue overflowed: `overflowed` must follow."""
        ...

    def overflowed(self) -> None:
        """Leaves everything that lost frames."""
        ...

    def watch_failed(self, conversation: str, refusal: Refusal) -> None:
        """The watch ended: the cell refused it."""
        ...


class Stream:
    """One watched conversation. The hub alone changes it."""

    __slots__ = ("catching_up", "conversation", "joining", "position", "watchers")

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.position = -1
        """The newest `seq` that was fanned out or answered; -1 before the first answer."""
        self.watchers: dict[Watcher, int] = {}
        """Joined watchers, each with the newest `seq` it was given."""
        self.joining: dict[Watcher, object] = {}
        """Watchers whose answer is on its way, each with the newest of its questions."""
        self.catching_up = False
        """The cell was asked for what follows the position: its answer covers what arrives meanwhile."""

    @property
    def customer(self) -> str:
        """Whose it was when it began: how its cell is found."""
        return customer_of(self.conversation)

    @property
    def askers(self) -> set[str]:
        """Who waits for what it gives."""
        return {watcher.asker for watcher in (*self.watchers, *self.joining)}

    def fan_out(self, seq: int, events: list[Raw]) -> None:
        """Gives each watcher what it has not had. Encoded once per codec for all who stand where the stream does."""
        before = self.position
        if seq <= before:
            seq, events = before + 1, events[before + 1 - seq :]
        last = seq + len(events) - 1
        if not events or seq != before + 1:
            return
        together: list[Watcher] = []
        ahead: list[tuple[Watcher, int]] = []
        for watcher, at in self.watchers.items():
            if at == before:
                together.append(watcher)
            elif at < last:
                ahead.append((watcher, at))
        self.position = last
        for watcher in together:
            self.watchers[watcher] = last
        self._give(RawUpdate(conversation=self.conversation, seq=seq, events=events), together)
        for watcher, at in ahead:
            # It joined while the others waited for a gap to close.
            self.watchers[watcher] = last
            rest = RawUpdate(conversation=self.conversation, seq=at + 1, events=events[at + 1 - seq :])
            self._give(rest, [watcher])

    def begin_anew(self, frame: RawUpdate | RawSnapshot, head: int) -> None:
        """The cell no longer has the events after the position at hand: whoever is behind `head` gets the snapshot."""
        behind = [watcher for watcher, at in self.watchers.items() if at < head]
        self.position = head
        for watcher in behind:
            self.watchers[watcher] = head
        self._give(frame, behind)

    def _give(self, frame: RawUpdate | RawSnapshot, watchers: Sequence[Watcher]) -> None:
        encoded: dict[str, bytes] = {}
        full: list[Watcher] = []
        for watcher in watchers:
            name = watcher.codec.name
            data = encoded.get(name)
            if data is None:
                data = encoded[name] = watcher.codec.encode(frame)
            if not watcher.update(data, self.conversation):
                full.append(watcher)
        # Only now: leaving changes the watchers that were walked.
        for watcher in full:
            watcher.overflowed()
