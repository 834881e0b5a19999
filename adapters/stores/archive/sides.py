"""The archive's two sides, the writer's and the readers': what is asked of it, whatever connection carries it out."""

from collections.abc import Callable, Collection, Sequence, Set
from typing import Any

from adapters.stores import connection
from adapters.stores.archive import (
    erasing,
    findings,
    lists,
    loads,
    losses,
    queries,
    retention,
    rows,
    search,
    timeline,
    traces,
)
from adapters.stores.archive import quarantine as archive_quarantine
from adapters.stores.archive import snapshots as archive_snapshots
from adapters.stores.archive.losses import LossesWanted
from adapters.stores.archive.pages import Page
from adapters.stores.archive.quarantine import InputsWanted
from adapters.stores.archive.timeline import Before, EntriesWanted
from adapters.stores.connection import Runs
from adapters.stores.errors import StoreFailed
from protocol.archive import Bounds, Changes, Dropped, Due, StoredEvent, StoredJourney, StoredVersion
from protocol.entities import ConversationSummary
from protocol.links import SnapshotTaken
from protocol.losses import LossLine


class ArchiveWrites:
    """The writer's side. All raise `StoreFailed`, after which the store must be opened anew."""

    _db: Runs | None = None

    async def apply(self, changes: Changes) -> None:
        """Writes the changes and the position they lead to, in one transaction.

        Raises `AssertionError` where a row it must change is missing: this archive is of another journal.
        """
        await self._writer().run(rows.apply, changes)

    async def save_snapshots(self, snapshots: Sequence[SnapshotTaken]) -> set[str]:
        """Keeps the newest snapshot of each customer, but for those with words of conversations that retention dropped.
        Returns these conversations."""
        return await self._writer().run(archive_snapshots.save, snapshots)

    async def drop(self, bounds: Bounds) -> dict[str, int]:
        """Retention: one short step of dropping what was over before `bounds`. Returns how many of each kind went;
        empty: there is no more."""
        return await self._writer().run(retention.drop, bounds)

    async def redrop(self) -> None:
        """Drops again what had been dropped before this archive was made anew, in short steps."""
        while await self._writer().run(retention.redrop):
            pass

    async def policy(self) -> tuple[int, bytes] | None:
        """The newest applied version of the policy, and its rules' bytes."""
        return await self._writer().run(rows.policy)

    async def index(self) -> int:
        """Brings the full text a step nearer to the archive's position, then to being without the words of what was
        dropped; returns 0 at the end."""
        return await self._writer().run(search.index)

    async def erase(self, customer: str, changes: Changes) -> None:
        """Puts all rows of the customer anew, by `changes`; what only they had is gone from the file and the index.
        Without a customer it is only what others' events said that changes."""
        await self._writer().run(erasing.erase, customer, changes)

    async def attached(self, names: set[str]) -> set[str]:
        """Those of the attachments, named by their hash, that a message or a quarantined input still names."""
        return await self._writer().run(rows.attached, names)

    async def generation(self) -> str:
        """The life of the journal that it follows; empty before the first."""
        return await self._writer().run(rows.generation)

    async def reset(self) -> None:
        """Empties it: position 0."""
        await self._writer().run(rows.reset, "")

    async def adopt(self, generation: str, *, keeps: bool = False) -> int:
        """Says which life of the journal is followed. Returns the position; 0, and the archive empty, where it followed
        another one, whose positions mean nothing now: where they do, it `keeps` its rows."""
        return await self._writer().run(rows.adopt, generation, keeps=keeps)

    def _writer(self) -> Runs:
        if self._db is None:
            raise StoreFailed("the archive is not open")
        return self._db


class ArchiveReads:
    """The readers' side: `loads`, `queries` and the others, each seeing one state of the archive."""

    _db: Runs | None = None

    async def position(self) -> int:
        """The journal's position that all rows together reflect."""
        return await self._reader().run(rows.position)

    async def stored(self, customer: str) -> StoredJourney:
        """The customer's newest snapshot and the events after it, with the position that both are of."""
        return await self._reader().run(connection.read, loads.stored, customer)

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        """The events after a position in all streams of a customer, in the journal's order."""
        return await self._reader().run(connection.read, loads.events_of_customer, customer, after_position)

    async def events_of_stream(self, stream: str, after_seq: int, limit: int) -> Page[StoredEvent]:
        """At most `limit` events of a stream after a seq, ascending, and a page's bytes."""
        return await self._reader().run(loads.events_of_stream, stream, after_seq, limit)

    async def policy_versions(self, after_seq: int, limit: int) -> list[StoredVersion]:
        """At most `limit` versions of the policy that events after a seq of its stream made, ascending."""
        return await self._reader().run(queries.policy_versions, after_seq, limit)

    async def known(self, customers: Collection[str]) -> set[str]:
        """Those of these that are customers, or the names of other streams in which something is."""
        return await self._reader().run(connection.read, loads.known, customers)

    async def due(self, shards: Sequence[int], before_ms: int, limit: int) -> list[Due]:
        """Customers of these shards whose nearest timer is due at `before_ms` or earlier, the nearest first."""
        return await self._reader().run(loads.due, shards, before_ms, limit)

    async def untaken(self, shards: Sequence[int], limit: int) -> list[tuple[str, str]]:
        """(customer, account) of deliveries of these shards that wait for someone to take them."""
        return await self._reader().run(loads.untaken, shards, limit)

    async def conversations(
        self,
        *,
        list: str = "",
        customer: str = "",
        status: str = "",
        limit: int = 100,
        before: tuple[int, str] | None = None,
    ) -> Sequence[ConversationSummary]:
        """Conversations, the newest change first; see `lists.conversations` for the selection and pages."""
        return await self._reader().run(
            lists.conversations, list=list, customer=customer, status=status, limit=limit, before=before
        )

    async def conversation(self, conversation: str) -> dict[str, Any] | None:
        """A conversation's row with its `interactions`, `context`, `relations`, `deliveries` and `handoffs`."""
        return await self._reader().run(connection.read, queries.conversation, conversation)

    async def handoffs(self, conversation: str) -> Sequence[dict[str, Any]]:
        """A conversation's handoffs, the oldest first, each with its package."""
        return await self._reader().run(queries.handoffs, conversation)

    async def messages_of(
        self, conversation: str, interaction: int, *, limit: int = 1000, after: tuple[int, int, str] | None = None
    ) -> Page[dict[str, Any]] | None:
        """A page of what was said in an interaction, wherever it is journaled; None where there is no such one."""
        return await self._reader().run(
            connection.read, queries.messages_of, conversation, interaction, limit=limit, after=after
        )

    async def journey(
        self, customer: str, *, limit: int = 1000, after: tuple[int, str] | None = None
    ) -> dict[str, Any] | None:
        """A customer's row with `identities` and a page of `conversations`, oldest first, each as `conversation` gives
        it."""
        return await self._reader().run(connection.read, queries.journey, customer, limit=limit, after=after)

    async def timeline(
        self, customer: str, wanted: EntriesWanted, *, limit: int = 100, before: Before | None = None
    ) -> Page[dict[str, Any]] | None:
        """What happened with a customer, the newest first; None where there is no such customer."""
        return await self._reader().run(
            connection.read, timeline.timeline, customer, wanted, limit=limit, before=before
        )

    async def losses(self, wanted: LossesWanted) -> list[dict[str, Any]]:
        """Where context was lost, by group and week; see `losses`. Takes seconds."""
        return await self._reader().run(connection.read, losses.losses, wanted)

    async def loss_lines(self, from_ms: int, until_ms: int, examples: int) -> list[LossLine]:
        """The same over all of a time, by group."""
        return await self._reader().run(connection.read, losses.loss_lines, from_ms, until_ms, examples)

    async def loss_occasions(self, from_ms: int, until_ms: int) -> dict[tuple[str, str], int]:
        """By measure and place: how often something could have been lost."""
        return await self._reader().run(connection.read, losses.occasions, from_ms, until_ms)

    async def findings(
        self, states: Sequence[str], limit: int = 100, before: tuple[int, str] | None = None
    ) -> list[dict[str, Any]]:
        """Findings in these states, the newest first; see `findings`."""
        return await self._reader().run(findings.findings, states, limit, before)

    async def finding(self, finding: str) -> dict[str, Any] | None:
        """One finding with its `history`; None where there is none."""
        return await self._reader().run(connection.read, findings.finding, finding)

    async def reports(self, limit: int) -> list[dict[str, Any]]:
        """Reports that were made, the newest first."""
        return await self._reader().run(findings.reports, limit)

    async def report_due_ms(self) -> int:
        """The newest time that a schedule wanted a report for; 0 before the first."""
        return await self._reader().run(findings.due_ms)

    async def streams_of(self, customer: str) -> set[str]:
        """All streams of a customer."""
        return await self._reader().run(connection.read, traces.streams_of, customer)

    async def mentions_of(
        self,
        customer: str,
        file: Callable[[str], bytes],
        region: str,
        contacts: Set[tuple[str, int]] = frozenset(),
        quarantined: Set[str] = frozenset(),
    ) -> list[StoredEvent]:
        """Events of others that name the customer or an address of theirs. Reads all conflicts and quarantine, with
        `file`, which blocks, where a mail lies in one, and numbers without a country as of `region`; `contacts` and
        `quarantined` are what else is known to be of theirs."""
        return await self._reader().run(
            connection.read, traces.mentions_of, customer, file, region, contacts, quarantined
        )

    async def facts_of_quarantined(self, stream: str, quarantine: str) -> list[StoredEvent]:
        """All facts of one input that the account of the stream refused."""
        return await self._reader().run(connection.read, traces.facts_of_quarantined, stream, quarantine)

    async def names_of(self, customer: str) -> set[str]:
        """The identities that are the customer's, or were, and are nobody else's now."""
        return await self._reader().run(connection.read, traces.names_of, customer)

    async def ever_of(self, customer: str) -> set[str]:
        """The identities that were ever the customer's, with those that came back to it with others."""
        return await self._reader().run(traces.ever_of, customer)

    async def brought_to(self, customer: str) -> set[tuple[str, int, str]]:
        """Identity, time and actor of what was unlinked in the customer's stream, and had come with who was merged into
        it."""
        return await self._reader().run(traces.brought_to, customer)

    async def links_of_others(self, customer: str, mentions: Sequence[StoredEvent]) -> set[tuple[str, int, str]]:
        """Identity, time and actor of links of others', of identities that are the customer's: those that stay told."""
        return await self._reader().run(connection.read, traces.links_of_others, customer, mentions)

    async def searched(self) -> int:
        """The position up to which the full text is indexed."""
        return await self._reader().run(timeline.searched)

    async def quarantine(
        self, wanted: InputsWanted, *, limit: int = 100, before: tuple[int, str] | None = None
    ) -> Sequence[dict[str, Any]]:
        """Quarantined inputs without their bytes, the newest first; see `quarantine.quarantine`."""
        return await self._reader().run(archive_quarantine.quarantine, wanted, limit=limit, before=before)

    async def dropped(self, kind: str, id: str) -> Dropped | None:
        """That retention dropped this `conversation`, `quarantine` or `delivery`; None where it did not."""
        return await self._reader().run(retention.dropped, kind, id)

    async def retained(self) -> list[dict[str, int | str]]:
        """How far retention has come with each kind (see `retention`)."""
        return await self._reader().run(retention.retained)

    async def identity_reviews(
        self, *, shared_after: int, limit: int = 100, before: tuple[int, str, str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Open reviews of identities, the newest first (see `queries`)."""
        return await self._reader().run(queries.identity_reviews, shared_after=shared_after, limit=limit, before=before)

    async def quarantined(self, quarantine: str) -> dict[str, Any] | None:
        """One quarantined input, whole: `raw` is bytes."""
        return await self._reader().run(archive_quarantine.quarantined, quarantine)

    async def outbox(self, states: Sequence[str], limit: int) -> Sequence[dict[str, Any]]:
        """Deliveries in these states, the longest queued first."""
        return await self._reader().run(queries.outbox, states, limit)

    async def to_leave(self, deliveries: Sequence[str]) -> list[str]:
        """Those of the deliveries that still leave by themselves, in their order."""
        return await self._reader().run(connection.read, queries.to_leave, deliveries)

    async def unsent(self) -> dict[str, int]:
        """Deliveries that have not left, by state."""
        return await self._reader().run(queries.unsent)

    async def counts(self) -> dict[str, int]:
        """How much there is, by name, for metrics."""
        return await self._reader().run(connection.read, queries.counts)

    def _reader(self) -> Runs:
        if self._db is None:
            raise StoreFailed("the archive is not open")
        return self._db
