"""A stopped server's files, as an erasure reads and changes them: what names a person is found, redacted, and gone."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors.archive.archive import Archive
from actors.archive.retention import FILES_MAX
from actors.cells.loading import load
from actors.erasure import erasing
from actors.erasure.erasing import Addresses, Place
from actors.erasure.journal_traces import JournalTraces, OfQuarantine, is_emptied
from actors.identity import merging
from actors.journal.notices import versions_of
from actors.rules.policies import Policies
from actors.state.journey import Journey, evolve
from adapters.attachments import AttachmentStore
from adapters.naming import Naming
from adapters.stores.archive.traces import whole
from orchestrator.data_layout import ATTACHMENTS
from orchestrator.policy.first import policy_of
from orchestrator.settings import Settings
from orchestrator.storage import SqliteStorage
from protocol.archive import StoredEvent
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, CustomerErased, InputQuarantined, MessageQueued, ReplayBegun
from protocol.ids import customer_of, may_be_customer, may_be_person
from protocol.journal import Committed, Entry, Record, Unit
from protocol.links import TailIs
from protocol.shards import scope_of

READ_RECORDS = 2000

_encode = msgspec.msgpack.Encoder().encode


class Find(Struct, kw_only=True, frozen=True):
    """What there is of a customer, and where."""

    journey: Journey
    erased: bool
    """The act is committed already, and nothing came after it."""
    streams: set[str]
    mentions: list[StoredEvent]
    traces: JournalTraces | None
    """None where the archive has all that was ever said."""
    names: set[str]
    """Their identities."""
    addresses: Addresses
    on_their_way: list[str]
    """Messages to them that are to leave from others' conversations."""

    @property
    def inputs(self) -> list[str]:
        """What accounts refused that names them, by id, in the order of coming."""
        facts = [msgspec.json.decode(each.body, type=AnyEvent) for each in self.mentions]
        return [fact.quarantine for fact in facts if isinstance(fact, InputQuarantined) and not is_emptied(fact)]

    @property
    def owners(self) -> set[str]:
        """Whose ids the streams begin with: a conversation may have been another customer's before."""
        return owners_of(self.journey.customer, self.streams)


class Files:
    """The stopped server's files."""

    def __init__(self, settings: Settings) -> None:
        self._stores, self._known = SqliteStorage(settings), SqliteStorage(settings)
        self.attachments = AttachmentStore(Path(settings.data) / ATTACHMENTS)
        self._settings = settings
        self.journal = self._stores.journal()
        self.archive = self._stores.archive()
        self._reader = self._stores.journal_reader()
        self.follower = Archive(self._reader, self.archive, gather_s=0)
        self.known = self._known.archive_reader()

    async def open(self, stack: AsyncExitStack) -> None:
        """Opens them, with the archive caught up."""
        stack.push_async_callback(self.journal.close)
        await self.journal.open()
        stack.push_async_callback(self._stores.close_readers)
        await self._stores.open_readers()
        stack.push_async_callback(self.archive.close)
        await self.follower.start()
        stack.push_async_callback(self._known.close_readers)
        await self._known.open_readers()

    async def once_keys_ms(self) -> int:
        """How long a repeat is known, by the policy in force."""
        policies = Policies(policy_of(self._settings))
        policies.learn(versions_of(await self.journal.policies()))
        return policies.newest.once_keys_ms

    async def find(self, customer: str) -> Find:
        """What there is of them. Raises `Refusal` (`NOT_FOUND`)."""

        async def nothing(_: str) -> TailIs:
            return TailIs(0, self.follower.position, [])  # The archive has all of the journal.

        if not may_be_customer(customer):
            # As whose it is nothing of it is loaded, and it has facts all the same.
            raise Refusal(Code.NOT_FOUND, "that is no customer's id, but of something that is one's", ref=customer)
        if not may_be_person(customer):
            raise Refusal(Code.NOT_FOUND, "that is no customer: nobody's person is in it", ref=customer)
        journey, _ = await load(customer, self.known, nothing)
        await self._check_is_alone(journey)
        own = await self.known.events_of_stream(customer, journey.head - 1, 1)
        if not own:
            raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=customer)
        last = msgspec.json.decode(own[0].body, type=AnyEvent)
        streams = await self.known.streams_of(customer)
        names = await self.known.names_of(customer)
        traces = await self._traces(customer, streams, names) if await self.known.retained() else None
        known = (traces.contacts, traces.quarantined) if traces is not None else ()
        mentions = await self.known.mentions_of(customer, self._file, self._settings.region, *known)
        facts = [msgspec.json.decode(each.body, type=AnyEvent) for each in mentions]
        queued = [fact.delivery for fact in facts if isinstance(fact, MessageQueued)]
        return Find(
            journey=journey,
            erased=isinstance(last, CustomerErased) and not journey.conversations,
            streams=streams,
            mentions=mentions,
            traces=traces,
            names=names,
            addresses=Addresses(
                names=names,
                ever=await self.known.ever_of(customer),
                brought=await self.known.brought_to(customer),
                told=await self.known.links_of_others(customer, mentions),
            ),
            on_their_way=await self.known.to_leave(queued),
        )

    async def _traces(self, customer: str, streams: set[str], names: set[str]) -> JournalTraces:
        """What the journal says of where they are: the archive has not all of it any more."""
        naming = Naming(names, region=self._settings.region)

        def is_named(fact: OfQuarantine) -> bool:
            raw = fact.raw if isinstance(fact, InputQuarantined | ReplayBegun) else b""
            told = msgspec.structs.replace(fact, raw=b"") if raw else fact
            return naming.is_in_text(msgspec.json.encode(told).decode()) or naming.is_in(whole(raw, self._file))

        traces = JournalTraces(streams, owners_of(customer, streams), names, is_named)
        async for record in self.records(lambda at: None):
            traces.hear(record)
        return traces

    async def records(self, on_read: Callable[[int], None]) -> AsyncIterator[Record]:
        """All that the journal has. `on_read` gets positions, up to which they were taken."""
        position = 0
        while records := await self._reader.read(position, READ_RECORDS):
            for record in records:
                yield record
            position = records[-1].position
            on_read(position)

    def _file(self, name: str) -> bytes:
        """What a quarantined mail's file holds; nothing where it is gone."""
        try:
            return self.attachments.read(name)
        except Refusal:
            return b""

    async def _check_is_alone(self, journey: Journey) -> None:
        """Raises `Refusal` where the customer is merged with others: whose a contact is, is then to be said first."""
        given, family = merging.given_of(journey), merging.family_of(journey)
        if given is not None:
            text = f"it is merged into {given.to}: unmerge it from that one, and then erase it"
            raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=journey.customer)
        if family is not None and family.members:
            text = f"{', '.join(family.members)} is merged into it: unmerge, and then erase each"
            raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=journey.customer)
        if any(journey.customer in (told.customer, told.other) for told in await self.journal.unsettled()):
            text = "a merge of it is under way: start the server once, so that it is taken in"
            raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=journey.customer)

    async def redact(self, find: Find, on_progress: Callable[[int, int], None]) -> AsyncIterator[Record]:
        """The units that have something of them, without it: also another's, whose cell wrote while they were one."""
        marks = [owner.encode() for owner in find.owners]
        places: set[Place] = {(event.stream, event.seq) for event in find.mentions}
        at = {event.position for event in find.mentions}
        head = self.follower.position
        async for record in self.records(lambda at: on_progress(at, head)):
            traced = find.traces.places_in(record) if find.traces is not None else set()
            named = any(mark in record.body for mark in marks) or not find.names.isdisjoint(record.identities)
            if traced or named or record.customer in find.owners or record.position in at:
                redacted = erasing.redacted_record(record, find.streams, places | traced, find.addresses)
                if redacted is not record:
                    yield redacted

    async def remove_unnamed(self, before_ms: int) -> int:
        """Removes the files that nothing in the archive names; returns how many. Whose each was nobody can say: an
        operator looked at a mail in quarantine, which brings its files out, or a sender never tried again."""
        after, removed = "", 0
        while True:
            seen, after = self.attachments.look(after, before_ms, FILES_MAX)
            removed += self.attachments.remove(seen - await self.archive.attached(seen), before_ms)
            if not after:
                return removed

    async def commit(self, customer: str, at_ms: int, journey: Journey, facts: list[tuple[str, AnyEvent]]) -> int:
        """Commits the act, of a customer or an account; returns its position."""
        entries = []
        for stream, event in facts:
            encoded = _encode(event)
            seq = evolve(journey, stream, event, encoded)
            entries.append(Entry(stream, seq, Raw(encoded)))
        # A shard's scope, whatever the placement: the next start's cells take it over, or forget it.
        [fence] = await self.journal.raise_fences([scope_of(customer)], [], "")
        body = _encode(entries)
        unit = Unit(fence.scope, fence.epoch, fence.batch + 1, customer, at_ms, [], len(entries), body)
        [verdict] = await self.journal.commit([unit])
        assert isinstance(verdict, Committed), verdict
        return verdict.position


def owners_of(customer: str, streams: set[str]) -> set[str]:
    """The customers whose ids these streams begin with."""
    return {customer, *(customer_of(stream) for stream in streams if "-" in stream)}
