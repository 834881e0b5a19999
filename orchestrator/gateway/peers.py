"""What the gateway needs of the rest of the server, declared by the one who needs it.

`Cells` carries questions to cells and their news back, `Intake` takes inputs, `Archive` answers history. The real ones
are `orchestrator/cell_lines/cells.py`, `orchestrator/way_in/intake.py` and the archive store's reader.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from adapters.stores.archive.losses import LossesWanted
from adapters.stores.archive.pages import Page
from adapters.stores.archive.quarantine import InputsWanted
from adapters.stores.archive.timeline import Before, EntriesWanted
from orchestrator.cell_lines.questions import Reply
from orchestrator.feed.feed import Readable
from protocol.archive import Dropped, StoredEvent
from protocol.commands import AnyCommand
from protocol.entities import ConversationSummary
from protocol.errors import Refusal
from protocol.inbound import InboundEvent
from protocol.links import (
    Answered,
    AnyToCell,
    Attempt,
    HeadsAre,
    ListChanged,
    Replay,
    Updated,
)


class Cells(Protocol):
    """The way to the cells. A question is sent again to a cell's new incarnation until it is answered, so every `done`
    is called once; answers and news of one cell arrive in the order it sent them.

    The gateway sets the listeners. `on_fresh(cell)`: the cell lost what it knew of this gateway's watches.
    `on_moved(customer)`: the customer has another cell now.
    """

    on_updated: Callable[[Updated], None]
    on_list_changed: Callable[[ListChanged], None]
    on_heads: Callable[[HeadsAre], None]
    on_deliver: Callable[[Attempt], None]
    on_fresh: Callable[[int], None]
    on_moved: Callable[[str], None]

    generation: str
    """Of the journal that the cells write to; empty while none is known."""

    @property
    def indexes(self) -> Sequence[int]:
        """Which cells there are now."""
        ...

    @property
    def interchangeable(self) -> bool:
        """Whether any cell can serve any customer, so that none of them is missed."""
        ...

    def unreachable(self) -> list[str]:
        """Whose pipe is down, though questions need it: `cell 0`, `usher`."""
        ...

    @property
    def unanswered(self) -> int:
        """Questions without an answer."""
        ...

    def is_open(self, index: int) -> bool:
        """Whether the pipe to this cell is up."""
        ...

    def cell_of(self, customer: str) -> int:
        """The cell that the customer lives in."""
        ...

    def send(self, customer: str, message: AnyToCell) -> None:
        """Tells the customer's cell; nothing comes back."""
        ...

    def tell_all(self, message: AnyToCell) -> None:
        """Tells every cell."""
        ...

    def takers_are(self, accounts: list[str], cell: int | None = None) -> None:
        """Tells which accounts' deliveries are taken here: all who wait for it, or one cell that is new."""
        ...

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Callable[[Reply], None]) -> None:
        """Asks the customer's cell; `make` gets the question's `ref`."""
        ...

    async def call(self, customer: str, make: Callable[[int], AnyToCell], *, timeout_s: float = 30.0) -> Reply:
        """Asks and awaits the answer. Raises `Refusal` (`TIMED_OUT`)."""
        ...

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Callable[[Reply], None]) -> None:
        """Asks one cell."""
        ...

    def broke(self, exc: Exception) -> None:
        """A bug met where nobody awaits: whoever runs this ends with it."""
        ...


class Intake(Protocol):
    """The way in for events and commands: an answer means committed and synced."""

    @property
    def region(self) -> str:
        """ISO 3166, of phone numbers that are written without a country."""
        ...

    def take(
        self, event: InboundEvent, done: Callable[[Answered | Refusal], None], *, raw: bytes = b"", past: bool = False
    ) -> None:
        """Never raises; `done` is called exactly once."""
        ...

    def check(self, event: InboundEvent, *, past: bool = False) -> InboundEvent:
        """The event as it would be taken. Raises `Refusal`."""
        ...

    def spelled(self, identity: str) -> str:
        """An identity in its one spelling. Raises `Refusal`."""
        ...

    def alike_to(self, identities: Sequence[str]) -> list[str]:
        """Addresses that are the same as these under another kind, by the policy in force."""
        ...

    def known(self, identity: str) -> str | None:
        """Whose an identity was when an event with it last came; it may have changed hands since."""
        ...

    def check_writing(self, id: str) -> None:
        """For who cannot wait. Raises `Refusal` where nothing can be written down now."""
        ...

    async def submit(self, event: InboundEvent, *, raw: bytes = b"", replay: Replay | None = None) -> Answered:
        """The same, awaited. Raises `Refusal`."""
        ...

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        """Keeps an input that the gateway's own checks refused. Raises `Refusal`."""
        ...

    async def command(
        self, *, actor: str, id: str, command: AnyCommand, conversation: str = "", customer: str = ""
    ) -> Answered:
        """Raises `Refusal`."""
        ...


class Archive(Protocol):
    """Read-only history: committed state as of `position`."""

    async def position(self) -> int:
        """How far it follows the journal."""
        ...

    async def dropped(self, kind: str, id: str) -> Dropped | None:
        """That retention dropped this `conversation`, `quarantine` or `delivery`."""
        ...

    async def retained(self) -> Sequence[Mapping[str, int | str]]:
        """How far retention has come with each kind."""
        ...

    async def conversations(
        self,
        *,
        list: str = "",
        customer: str = "",
        status: str = "",
        limit: int = 100,
        before: tuple[int, str] | None = None,
    ) -> Sequence[ConversationSummary]:
        """Rows, newest first; `before` is the last row's (`updated_at_ms`, `conversation`) of the page before."""
        ...

    async def conversation(self, conversation: str, /) -> Mapping[str, Any] | None:
        """All rows of one conversation but its events."""
        ...

    async def handoffs(self, conversation: str, /) -> Sequence[Mapping[str, Any]]:
        """A conversation's handoffs with their packages, the oldest first."""
        ...

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> Page[StoredEvent]:
        """Events in order of `seq`."""
        ...

    async def messages_of(
        self, conversation: str, interaction: int, /, *, limit: int, after: tuple[int, int, str] | None
    ) -> Page[dict[str, Any]] | None:
        """A page of what was said in an interaction, wherever it is journaled; None where there is no such one."""
        ...

    async def journey(
        self, customer: str, /, *, limit: int = 1000, after: tuple[int, str] | None = None
    ) -> Mapping[str, Any] | None:
        """A customer with identities, and a page of conversations with their interactions and relations."""
        ...

    async def timeline(
        self, customer: str, wanted: EntriesWanted, *, limit: int = 100, before: Before | None = None
    ) -> Page[dict[str, Any]] | None:
        """What happened with a customer, the newest first; None where there is none."""
        ...

    async def losses(self, wanted: LossesWanted, /) -> Sequence[Mapping[str, Any]]:
        """Where context was lost, by group and week."""
        ...

    async def searched(self) -> int:
        """The position up to which words can be found."""
        ...

    async def quarantine(
        self, wanted: InputsWanted, /, *, limit: int = 100, before: tuple[int, str] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Quarantined inputs, newest first."""
        ...

    async def identity_reviews(
        self, *, shared_after: int, limit: int = 100, before: tuple[int, str, str, str] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Open reviews of identities, newest first."""
        ...

    async def quarantined(self, quarantine: str, /) -> Mapping[str, Any] | None:
        """One of them, with its raw bytes."""
        ...

    async def outbox(self, states: Sequence[str], limit: int, /) -> Sequence[Mapping[str, Any]]:
        """Outbound messages in these states."""
        ...

    async def unsent(self) -> Mapping[str, int]:
        """Outbound messages that have not left, by state."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Rows by table."""
        ...


class Identities(Readable, Protocol):
    """Whose an identity is, from the journal's file; and the file itself, by position."""

    async def customers_of(self, identities: Sequence[str], /) -> Mapping[str, str]:
        """Identity → customer, of those that are known."""
        ...
