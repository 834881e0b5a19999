"""The gateway's peers, small and in memory: cells with conversations, an intake that answers, an archive of rows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from adapters.stores.archive.pages import Page, paged
from orchestrator.cell_lines.questions import Reply
from protocol.archive import Dropped, StoredEvent
from protocol.commands import AnyCommand
from protocol.entities import ConversationSummary, ConversationView, CustomerView, Status
from protocol.errors import Code, Refusal
from protocol.events import NoteAdded
from protocol.identities import normalise
from protocol.inbound import InboundEvent
from protocol.journal import Record
from protocol.links import (
    Answered,
    AnyToCell,
    Attempt,
    CustomerRead,
    HeadsAre,
    ListChanged,
    ListWatched,
    Outcome,
    ReadCustomer,
    Refused,
    Replay,
    TakersAre,
    UnwatchConversation,
    UnwatchList,
    Updated,
    WatchConversation,
    Watched,
    WatchList,
)

Question = tuple[int, AnyToCell, Callable[[Reply], None]]


def note(number: int, *, size: int = 0) -> Raw:
    """An event's bytes; `number` tells it from others, `size` makes it long."""
    return Raw(msgspec.msgpack.encode(NoteAdded(at_ms=number, text="x" * size)))


def nothing(_: object) -> None:
    """A listener nobody set."""


class FakeCells:
    """Two cells. They answer at once unless `held`; then questions wait in `asked` for `release`."""

    def __init__(self) -> None:
        self.on_updated: Callable[[Updated], None] = nothing
        self.on_list_changed: Callable[[ListChanged], None] = nothing
        self.on_heads: Callable[[HeadsAre], None] = nothing
        self.on_deliver: Callable[[Attempt], None] = nothing
        self.on_fresh: Callable[[int], None] = nothing
        self.on_moved: Callable[[str], None] = nothing
        self.generation = "g1"
        self.conversations: dict[str, list[Raw]] = {}
        self.customers: dict[str, CustomerView] = {}
        self.recent_from: dict[str, int] = {}
        """Conversation → the oldest position from which its cell can still resume."""
        self.subscribed: set[str] = set()
        self.lists: set[str] = set()
        self.list_position = 0
        self.told: list[AnyToCell] = []
        self.outcomes: list[Outcome] = []
        self.outcome_reply: Reply = Answered(0, "committed", "", 1, 1)
        """What a cell makes of each of them."""
        self.watches: list[WatchConversation] = []
        self.reads: list[ReadCustomer] = []
        self.held = False
        self.asked: list[Question] = []
        self.closed_cells: set[int] = set()
        self.changed = asyncio.Event()
        """Set whenever something was asked or told."""
        self.bugs: list[Exception] = []
        self._ref = 0

    @property
    def indexes(self) -> list[int]:
        return [0, 1]

    def unreachable(self) -> list[str]:
        return [f"cell {index}" for index in sorted(self.closed_cells)]

    interchangeable = False

    @property
    def unanswered(self) -> int:
        return len(self.asked)

    def is_open(self, index: int) -> bool:
        return index not in self.closed_cells

    def cell_of(self, customer: str) -> int:
        return len(customer) % 2

    def send(self, customer: str, message: AnyToCell) -> None:
        self.told.append(message)
        if isinstance(message, UnwatchConversation):
            self.subscribed.discard(message.conversation)
        self.changed.set()

    def tell_all(self, message: AnyToCell) -> None:
        self.told.append(message)
        if isinstance(message, UnwatchList):
            self.lists.discard(message.list)
        self.changed.set()

    def takers_are(self, accounts: list[str], cell: int | None = None) -> None:
        self.told.append(TakersAre(accounts))

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Callable[[Reply], None]) -> None:
        self.ask_cell(self.cell_of(customer), make, done)

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Callable[[Reply], None]) -> None:
        self._ref += 1
        question = (index, make(self._ref), done)
        if isinstance(question[1], WatchConversation):
            self.watches.append(question[1])
        if self.held:
            self.asked.append(question)
        else:
            done(self.reply(question[1]))
        self.changed.set()

    async def call(self, customer: str, make: Callable[[int], AnyToCell], *, timeout_s: float = 30.0) -> Reply:
        return self.reply(make(0))

    def broke(self, exc: Exception) -> None:
        self.bugs.append(exc)

    def release(self) -> None:
        """Answers what was held, in order, and holds no more."""
        self.held = False
        asked, self.asked = self.asked, []
        for _, message, done in asked:
            done(self.reply(message))

    def reply(self, message: AnyToCell) -> Reply:
        match message:
            case WatchConversation():
                return self._watched(message)
            case WatchList(ref=ref, list=name):
                self.lists.add(name)
                return ListWatched(ref, name, self.list_position)
            case ReadCustomer(ref=ref, customer=customer):
                self.reads.append(message)
                return CustomerRead(ref, self.customers.get(customer))
            case Outcome(ref=ref):
                self.outcomes.append(message)
                return msgspec.structs.replace(self.outcome_reply, ref=ref)
            case _:
                raise AssertionError(message)

    def _watched(self, watch: WatchConversation) -> Reply:
        events = self.conversations.get(watch.conversation)
        if events is None:
            return Refused(watch.ref, Code.NOT_FOUND, "there is no such conversation")
        self.subscribed.add(watch.conversation)
        if watch.seq < self.recent_from.get(watch.conversation, 0):
            view = ConversationView(conversation=watch.conversation, customer=watch.customer, status=Status.OPEN)
            return Watched(watch.ref, watch.conversation, len(events), view, events[-2:])
        return Watched(watch.ref, watch.conversation, len(events), None, events[watch.seq :])

    def write(self, conversation: str, *events: Raw, lose: bool = False) -> None:
        """Commits events; `lose` keeps the update from the gateway."""
        known = self.conversations.setdefault(conversation, [])
        seq = len(known) + 1
        known.extend(events)
        if conversation in self.subscribed and not lose:
            self.on_updated(Updated(conversation, seq, list(events)))


class FakeIntake:
    """Answers what it takes: at once, or when `release` is called; with refusals where `refuse` has the event's id."""

    region = "DE"

    def __init__(self) -> None:
        self.taken: list[InboundEvent] = []
        self.raws: list[bytes] = []
        self.replays: list[Replay | None] = []
        self.refuse: dict[str, Refusal] = {}
        self.statuses: dict[str, str] = {}
        self.whys: dict[str, tuple[int, str, str]] = {}
        self.commands: list[tuple[str, str, AnyCommand, str, str]] = []
        self.refuse_commands: Refusal | Exception | None = None
        self.quarantined: list[tuple[str, str, str, Refusal, bytes]] = []
        self.unkept: Exception | None = None
        """What keeping something in quarantine raises."""
        self.held = False
        self.waiting: list[Callable[[], None]] = []
        self.took = asyncio.Event()
        self.writing = True
        self.alike: dict[str, list[str]] = {}
        self.remembered: dict[str, str] = {}
        """Whose identities were when an event with them last came."""

    def check(self, event: InboundEvent, *, past: bool = False) -> InboundEvent:
        if refusal := self.refuse.get(event.id):
            raise refusal
        return event

    def take(
        self, event: InboundEvent, done: Callable[[Answered | Refusal], None], *, raw: bytes = b"", past: bool = False
    ) -> None:
        self.taken.append(event)
        self.raws.append(raw)
        position = len(self.taken)
        status = self.statuses.get(event.id, "committed")
        why = self.whys.get(event.id)
        answer = self.refuse.get(event.id) or Answered(0, status, "cu1-1", position, position, why=why)
        if self.held:
            self.waiting.append(lambda: done(answer))
        else:
            done(answer)
        self.took.set()

    def spelled(self, identity: str) -> str:
        return normalise(identity)

    def alike_to(self, identities: Sequence[str]) -> list[str]:
        return [other for identity in identities for other in self.alike.get(identity, [])]

    def known(self, identity: str) -> str | None:
        return self.remembered.get(identity)

    def check_writing(self, id: str) -> None:
        if not self.writing:
            raise Refusal(Code.UNAVAILABLE, "not now", ref=id)

    def release(self) -> None:
        """Answers what was held, and holds no more."""
        self.held = False
        for answer in self.waiting:
            answer()
        self.waiting.clear()

    async def submit(self, event: InboundEvent, *, raw: bytes = b"", replay: Replay | None = None) -> Answered:
        self.replays.append(replay)
        future: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()
        self.take(event, future.set_result, raw=raw)
        outcome = await future
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        if self.unkept is not None:
            raise self.unkept
        self.quarantined.append((account, source, id, refusal, raw))
        return Answered(0, "quarantined", f"account:{account}", len(self.quarantined), 100 + len(self.quarantined))

    async def command(
        self, *, actor: str, id: str, command: AnyCommand, conversation: str = "", customer: str = ""
    ) -> Answered:
        self.commands.append((actor, id, command, conversation, customer))
        if self.refuse_commands:
            raise self.refuse_commands
        return Answered(0, "committed", conversation or customer, 7, 42)


class FakeArchive:
    """Rows by name; `at` is its position, and `asked` is set when somebody asks for that."""

    def __init__(self) -> None:
        self.at = 0
        self.asked = asyncio.Event()
        self.rows: list[ConversationSummary] = []
        self.gone: dict[tuple[str, str], Dropped] = {}
        self.by_id: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[StoredEvent]] = {}
        self.handoff_rows: dict[str, list[dict[str, Any]]] = {}
        self.said: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.journeys: dict[str, dict[str, Any]] = {}
        self.lost: list[dict[str, Any]] = []
        self.timelines: dict[str, list[dict[str, Any]]] = {}
        self.quarantines: dict[str, dict[str, Any]] = {}
        self.reviews: list[dict[str, Any]] = []
        self.outbox_rows: list[dict[str, Any]] = []
        self.wanted: list[dict[str, Any]] = []
        self.fail: Exception | None = None

    async def dropped(self, kind: str, id: str) -> Dropped | None:
        return self.gone.get((kind, id))

    async def retained(self) -> list[dict[str, int | str]]:
        return []

    async def position(self) -> int:
        self.asked.set()
        if self.fail:
            raise self.fail
        return self.at

    async def conversations(self, **wanted: Any) -> Sequence[ConversationSummary]:
        self.wanted.append(wanted)
        return self.rows[: wanted["limit"]]

    async def conversation(self, conversation: str, /) -> Mapping[str, Any] | None:
        return self.by_id.get(conversation)

    async def handoffs(self, conversation: str, /) -> Sequence[Mapping[str, Any]]:
        return self.handoff_rows.get(conversation, [])

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> Page[StoredEvent]:
        found = [event for event in self.events.get(stream, []) if event.seq > after_seq]
        return paged(found, limit, lambda event: len(event.body))

    async def messages_of(
        self, conversation: str, interaction: int, /, *, limit: int, after: tuple[int, int, str] | None
    ) -> Page[dict[str, Any]] | None:
        self.wanted.append({"limit": limit, "after": after})
        said = self.said.get((conversation, interaction))
        return None if said is None else paged(said, limit, lambda row: len(row["text"]))

    async def journey(
        self, customer: str, /, *, limit: int = 1000, after: tuple[int, str] | None = None
    ) -> Mapping[str, Any] | None:
        self.wanted.append({"limit": limit, "after": after})
        found = self.journeys.get(customer)
        return found and found | {"conversations": found.get("conversations", [])[:limit]}

    async def timeline(
        self, customer: str, wanted: Any, *, limit: int = 100, before: Any = None
    ) -> Page[dict[str, Any]] | None:
        self.wanted.append({"wanted": wanted, "limit": limit, "before": before})
        entries = self.timelines.get(customer)
        return None if entries is None else paged(entries, limit, lambda entry: 0)

    async def losses(self, wanted: Any, /) -> Sequence[Mapping[str, Any]]:
        self.wanted.append(msgspec.structs.asdict(wanted))
        return self.lost

    async def searched(self) -> int:
        return self.at

    async def quarantine(self, wanted: Any, /, **page: Any) -> Sequence[Mapping[str, Any]]:
        self.wanted.append({**msgspec.structs.asdict(wanted), **page})
        return [{k: v for k, v in row.items() if k != "raw"} for row in self.quarantines.values()]

    async def identity_reviews(self, **wanted: Any) -> Sequence[Mapping[str, Any]]:
        self.wanted.append(wanted)
        return self.reviews[: wanted["limit"]]

    async def quarantined(self, quarantine: str, /) -> Mapping[str, Any] | None:
        return self.quarantines.get(quarantine)

    async def outbox(self, states: Sequence[str], limit: int, /) -> Sequence[Mapping[str, Any]]:
        return [row for row in self.outbox_rows if row["state"] in states][:limit]

    async def unsent(self) -> Mapping[str, int]:
        return Counter(row["state"] for row in self.outbox_rows)

    async def counts(self) -> Mapping[str, int]:
        return {"conversations": len(self.rows)}


class FakeIdentities:
    """Whose identities are, and the journal by position."""

    def __init__(self) -> None:
        self.customers: dict[str, str] = {}
        self.at = 0
        self.records: list[Record] = []
        self.first = 1

    async def generation(self) -> str:
        return "g1"

    async def shared_with(self, generation: str) -> int | None:
        return self.at if generation == "g1" else None

    async def first_position(self) -> int:
        return self.first

    async def read(self, after: int, limit: int) -> list[Record]:
        return [record for record in self.records if record.position > after][:limit]

    async def customers_of(self, identities: Sequence[str], /) -> Mapping[str, str]:
        return {identity: self.customers[identity] for identity in identities if identity in self.customers}

    async def position(self) -> int:
        return self.at
