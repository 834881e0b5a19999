"""The witness: looks at every message as it leaves, and compares it with what is committed and synced at that moment.

It stands at the cells' pipes and at the gateway's sockets. Later would be too late: what leaves before its commit is
mostly committed by the time it arrives.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from orchestrator.gateway.incoming.quarantine import KEPT
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.errors import Code
from protocol.events import AnyEvent, DeliveryAttempted
from protocol.frames import (
    Ack,
    Deliver,
    Drain,
    Error,
    Flow,
    Heads,
    Inbox,
    Nack,
    Ping,
    RawSnapshot,
    RawUpdate,
    Result,
    Resync,
    Welcome,
)
from protocol.links import (
    Answered,
    AnyLink,
    Attempt,
    CustomerRead,
    HeadsAre,
    ListChanged,
    ListWatched,
    PolicyIs,
    Updated,
    Watched,
)
from protocol.pipe import Kind
from tests.simulation.folds import Folds
from tests.simulation.ledger import Ledger, home_of

HEADER_BYTES = 17
"""Of a pipe's blob (see `protocol.pipe`)."""

_links = msgspec.msgpack.Decoder(list[AnyLink]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode
_ToAgent = Welcome | Error | Drain | Result | RawSnapshot | RawUpdate | Heads | Resync | Inbox
_ToGateway = Welcome | Error | Drain | Ping | Ack | Nack | Flow | Deliver
_to_agent = msgspec.msgpack.Decoder(list[_ToAgent] | _ToAgent).decode
_to_gateway = msgspec.msgpack.Decoder(list[_ToGateway] | _ToGateway).decode


class Witness:
    """`broken(promise, text)` hears of what may not be."""

    def __init__(self, ledger: Ledger, folds: Folds, broken: Callable[[str, str], None]) -> None:
        self._ledger = ledger
        self._folds = folds
        self._broken = broken

    def heard(self, sender: str, receiver: str, blob: bytes) -> list[AnyLink]:
        """A blob leaves one process for another. Returns its messages."""
        if blob[0] != Kind.DATA:
            return []
        messages = _links(blob[HEADER_BYTES:])
        if sender.startswith("cell"):
            self._ledger.read()
            for message in messages:
                self._from_cell(message)
        return messages

    def to_agent(self, data: bytes) -> None:
        """A message leaves the gateway for an agent."""
        self._ledger.read()
        decoded = _to_agent(data)
        for frame in decoded if isinstance(decoded, list) else [decoded]:
            match frame:
                case RawUpdate(conversation=conversation, seq=seq, events=events):
                    self._events(conversation, seq + len(events) - 1, events)
                case RawSnapshot(conversation=conversation, seq=seq, recent=recent):
                    self._events(conversation, seq, recent)
                    assert isinstance(frame.view, ConversationView)
                    self._view(conversation, seq, frame.view)
                case Result(code=0, conversation=conversation, seq=seq):
                    self._head(conversation, seq, "a command's result")
                case Heads(heads=heads):
                    for conversation, head in heads.items():
                        self._head(conversation, head, "a heartbeat")
                case Inbox(entries=entries):
                    for row in entries:
                        self._row(row)

    def to_gateway_client(self, data: bytes, settled: Callable[[str, str], None]) -> None:
        """A message leaves the gateway for a gateway client; `settled(id, status)` checks each event that it
        answers for good."""
        self._ledger.read()
        decoded = _to_gateway(data)
        for frame in decoded if isinstance(decoded, list) else [decoded]:
            match frame:
                case Ack(ids=ids, status=status):
                    for id in ids:
                        settled(id, status)
                case Error(code=code, ref=ref) if code in KEPT or code == Code.DIGEST_CONFLICT:
                    settled(ref, "quarantined")
                case Deliver(delivery=delivery, attempt=attempt):
                    self.attempted(delivery, attempt)

    def attempted(self, delivery: str, attempt: int) -> None:
        """An attempt of a delivery is to be made now."""
        self._ledger.read()
        attempts = [e for e in self._ledger.delivery_events(delivery) if isinstance(e, DeliveryAttempted)]
        if all(event.attempt != attempt for event in attempts):
            self._broken("committed_only", f"attempt {attempt} of {delivery} left before its commit")

    def _from_cell(self, message: AnyLink) -> None:
        match message:
            case Answered(stream=stream, seq=seq, position=position):
                self._head(stream, seq, "an answer")
                self._position(position, "an answer")
            case Updated(conversation=conversation, seq=seq, events=events):
                self._events(conversation, seq + len(events) - 1, events)
            case Watched(conversation=conversation, head=head, view=view, events=events):
                self._events(conversation, head, events)
                if view is not None:
                    self._view(conversation, head, view)
            case CustomerRead(view=view) if view is not None:
                for each in view.open:
                    self._some_view(each)
                for identity in view.identities:
                    if (identity, view.customer) not in self._ledger.owned:
                        self._broken("committed_only", f"{view.customer} was shown with {identity}")
            case ListChanged(row=row):
                self._row(row)
            case ListWatched(position=position):
                self._position(position, "a list's watch")
            case HeadsAre(heads=heads):
                for conversation, head in heads.items():
                    self._head(conversation, head, "heads")
            case Attempt(delivery=delivery, number=attempt):
                self.attempted(delivery, attempt)
            case PolicyIs(version=version) if version > self._ledger.policy:
                self._broken("committed_only", f"version {version} was told; {self._ledger.policy} is synced")

    def _position(self, position: int, what: str) -> None:
        if position > self._ledger.position:
            self._broken("committed_only", f"{what} named position {position}; {self._ledger.position} is synced")

    def _head(self, stream: str, seq: int, what: str) -> None:
        if seq > self._ledger.head(stream):
            self._broken("committed_only", f"{what} named {stream} at {seq}; {self._ledger.head(stream)} is synced")

    def _events(self, stream: str, last: int, events: Sequence[Raw]) -> None:
        """They are the stream's, and end at `last`."""
        first = last - len(events)
        if first < 0:
            self._broken("committed_only", f"{stream} was shown with {len(events)} events up to {last}")
            return
        if last > self._ledger.head(stream):
            self._broken("committed_only", f"{stream} was shown up to {last}; {self._ledger.head(stream)} is synced")
            return
        for n, (shown, kept) in enumerate(zip(events, self._ledger.encoded.get(stream, [])[first:last], strict=True)):
            if bytes(shown) != kept and _event(shown) != self._ledger.streams[stream][first + n]:
                self._broken("committed_only", f"{stream}/{first + n + 1} was shown otherwise than it is journaled")

    def _view(self, conversation: str, head: int, view: ConversationView) -> None:
        made = self._folds.view(conversation, head)
        if made is not None and made.status is Status.CLOSED and view.status is Status.CLOSED:
            return  # Retention leaves one that is over without words.
        self._whose(conversation, view.customer)
        if made != msgspec.structs.replace(view, identities=[], customer=""):
            self._broken("committed_only", f"{conversation} was shown at {head} otherwise than its events make it")

    def _whose(self, conversation: str, customer: str) -> None:
        """Only merges, and their undoing, say whose it is but its id."""
        home = home_of(conversation)
        if customer not in {home, self._ledger.root(home), *self._ledger.roots.get(home, ())}:
            self._broken("committed_only", f"{conversation} was shown as {customer}'s, and never was")

    def _some_view(self, view: ConversationView) -> None:
        self._whose(view.conversation, view.customer)
        plain = msgspec.structs.replace(view, identities=[], customer="")
        if plain not in self._folds.views(view.conversation):
            self._broken("committed_only", f"{view.conversation} was read as it never was")

    def _row(self, row: ConversationSummary) -> None:
        self._whose(row.conversation, row.customer)
        made, row = self._folds.row(row.conversation, row.head), msgspec.structs.replace(row, customer="")
        if made is not None and row.status is Status.CLOSED:
            # Retention leaves the row of a closed conversation without words.
            made, row = (msgspec.structs.replace(each, subject="", owner="") for each in (made, row))
        if made != row:
            self._broken("committed_only", f"{row.conversation}'s row at {row.head} is not what its events make it")
