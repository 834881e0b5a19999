"""Two customers, of whom anything is said and asked, and who are merged and unmerged meanwhile: as pure decisions.

After every few steps what is loaded from the journal is what is live, and the archive's rows tell of each conversation
what its state does. Who was unmerged has what is their own: no word that only the other one ever said is in memory, in
the archive, in an offer's package, or in what may come along. A failing seed replays what it did.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing as closed

import pytest
from msgspec import Raw, msgpack

from actors.archive.projection import project, runs
from actors.cells import loading, snapshots
from actors.context import carrying
from actors.decisions import deciding
from actors.decisions.deciding import AnyInput, TimerDue
from actors.identity import merging
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import CarryRules, ContextRules
from actors.rules.correlation import CorrelationRules, Window
from actors.rules.handoffs import HandoffRules, Handoffs
from actors.rules.policy import ChannelRules, Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.state import closing, context_items
from actors.state import journey as journeys
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from adapters.stores.archive import loads as archive_loads
from adapters.stores.archive import queries as archive_queries
from adapters.stores.archive import rows as archive_rows
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.migrations import migrate
from protocol.archive import Due, StoredEvent, StoredJourney
from protocol.commands import (
    AnyCommand,
    Assign,
    DeclineHandoff,
    GiveCustomer,
    Join,
    Move,
    OfferHandoff,
    Relate,
    Reopen,
    Reply,
    Resolve,
    SetContext,
    Snooze,
    Split,
    TagInteraction,
    UnmergeCustomers,
)
from protocol.entities import RelationKind
from protocol.errors import Refusal
from protocol.events import AnyEvent, CustomerReleased
from protocol.ids import customer_of
from protocol.inbound import AnyData, GivenContext, InboundEvent, InteractionBegan, InteractionStopped, MessageArrived
from protocol.journal import Entry, Record, Unsettled
from protocol.links import Ask, Input, Outcome, TailIs

MINUTE_MS = 60_000
ANN, BOB = "cuann0000000000000", "cubob0000000000000"
IDENTITIES = {
    person: {"email": f"mailto:{name}@example.org", "chat": f"chat:{name}", "phone": f"tel:+4477009001{n}"}
    for n, (person, name) in enumerate(((ANN, "ann"), (BOB, "bob")), start=10)
}
MARKS = {ANN: ("Anna", "1111"), BOB: ("Benn", "2222")}
"""By person: what is in no word of the other's, of those that are theirs alone."""
POLICY = Policy(
    channels={
        "email": ChannelRules(account="email", rest_after_ms=120 * MINUTE_MS, end_in_time=True),
        "chat": ChannelRules(account="chat", rest_after_ms=15 * MINUTE_MS, end_in_time=True),
    },
    close_after_resolved_ms=10 * MINUTE_MS,
    attempts_max=2,
    capture=CaptureRules(
        templates=tuple(
            Template(channel=channel, fields=(Field(name=field, pattern=r"B\d{4}", when_missing="ask_agent"),))
            for channel, field in (("chat", "contract"), ("email", "meter"), ("phone", "contract"))
        )
    ),
    context=ContextRules(carry_over=CarryRules(within_ms=10**9)),
    handoffs=Handoffs(kinds={"tier": HandoffRules(waits_ms=5 * MINUTE_MS, on_expiry="queue:two")}),
    taxonomy=Taxonomy(
        topics={name: Label(taggers=(Tagger(words=(name,)),)) for name in ("bill", "claim")},
        keys={"claim": ("CLM-######",)},
    ),
    correlation=CorrelationRules(
        windows=(Window(earlier="*", later="*", within_ms=60 * MINUTE_MS),),
        other_topic="new",
        repeat_within_ms=10**9,
    ),
)


class Two:
    """Both journeys, the journal, and an archive that follows it; what happens is by a seed."""

    def __init__(self, seed: int, archive: sqlite3.Connection, *, together: bool) -> None:
        self.by = random.Random(seed)
        self.together = together
        """Whether both speak in the same sessions, as in one call."""
        self.now_ms = 10**12
        self.journeys = {person: Journey(customer=person) for person in (ANN, BOB)}
        self.into: tuple[str, str] | None = None
        self.records: list[Record] = []
        self.unsettled: list[Unsettled] = []
        self.heads: Counter[str] = Counter()
        self.count = 0
        self.archive = archive
        self.archived = 0
        migrate(self.archive, ARCHIVE)
        for person in (ANN, BOB):
            self.say(person, "email", MessageArrived(text="hello"), first=True)

    def root(self, person: str) -> str:
        """Whose the person's affairs are."""
        return self.into[1] if self.into and self.into[0] == person else person

    def conversations(self) -> Iterator[Conversation]:
        """All that are in memory."""
        for person in (ANN, BOB):
            if self.root(person) == person:
                yield from self.journeys[person].kept

    # What happens

    def step(self) -> None:
        """One thing or another."""
        what = (self.speak, self.ask, self.report, self.wait, self.merge)
        self.by.choices(what, weights=(8, 9, 2, 2, 1))[0]()

    def speak(self) -> None:
        """One of them does, or calls, or hangs up."""
        by, person = self.by, self.by.choice((ANN, BOB))
        name, digits = MARKS[person]
        channel = by.choice(("email", "chat", "phone"))
        session = by.choice(("s1", "s2")) if channel != "email" else ""
        if session and not self.together:
            session += person
        words = ("hello", "my bill", f"my claim CLM-{digits}00", "claim CLM-654321", f"contract B{digits}")
        known: GivenContext = {"name": f"{name}: {by.choice(words)}"}
        context = by.choice((None, None, known))
        subject = by.choice(("", f"{name} asks")) if channel == "email" else ""
        data = by.choices(
            (
                MessageArrived(
                    text=by.choice(words),
                    session=session,
                    reference=f"m{self.count}@x",
                    context=context,
                    subject=subject,
                ),
                InteractionBegan(session=session or "s3"),
                InteractionStopped(session=session or "s3", reason="hung up"),
            ),
            weights=(6, 1, 2),
        )[0]
        self.say(person, channel, data, late_ms=by.choice((0, 0, by.randrange(200) * MINUTE_MS)))

    def say(self, person: str, channel: str, data: AnyData, *, late_ms: int = 0, first: bool = False) -> None:
        """An event of theirs; the `first` one brings all their identities."""
        identities = [*IDENTITIES[person].values()] if first else [IDENTITIES[person][channel]]
        event = InboundEvent(
            id=f"e{self.count}",
            source="test",
            time_ms=self.now_ms - late_ms,
            account=channel,
            channel=channel,
            identities=identities,
            data=data,
        )
        home = self.root(person)
        self.give(home, Input(self.count, home, first, event, identities, [], self.count, 1, trusted=True))

    def ask(self) -> None:
        """An agent does something in one of the conversations."""
        by, there = self.by, list(self.conversations())
        if not there:
            return
        conversation = by.choice(there)
        numbers = [each.number for each in conversation.interactions] or [1]
        earlier = by.choice([each.id for each in there])
        command: AnyCommand = by.choice(
            (
                Split(interactions=by.sample(numbers, by.randint(1, len(numbers)))),
                Split(interactions=[by.choice(numbers)]),
                Join(other=earlier),
                Join(other=there[-1].id),
                Relate(kind=by.choice((None, *RelationKind)), earlier=earlier),
                Assign(owner=by.choice(("ann", "bob", ""))),
                Move(queue=by.choice(("one", "two"))),
                Snooze(until_ms=self.now_ms + by.choice((1, 30)) * MINUTE_MS),
                Resolve(),
                Resolve(),
                Reopen(),
                Reply(text="hello", channel=by.choice(("email", "chat"))),
                SetContext(key="contract", value=by.choice(("B1", "B2", None))),
                TagInteraction(interaction=by.choice(numbers), topic=by.choice(("bill", "claim"))),
                OfferHandoff(kind="tier", agent="bob"),
                DeclineHandoff(lease=1),
            )
        )
        self.give(conversation.customer, self.asked(conversation.customer, command, conversation.id))

    def asked(self, customer: str, command: AnyCommand, conversation: str = "") -> Ask:
        """The command as a cell gets it."""
        return Ask(self.count, customer, conversation, "agent:ann", f"c{self.count}", command, self.count, 1)

    def report(self) -> None:
        """What becomes of messages that are under way."""
        for person in (ANN, BOB):
            for conversation, delivery in journeys.attempting(self.journeys[person]):
                status, attempt = self.by.choice(("sent", "failed")), conversation.deliveries[delivery].attempt
                self.give(person, Outcome(0, person, conversation.id, delivery, attempt, status))

    def wait(self) -> None:
        """Time passes."""
        self.now_ms += self.by.choice((1, 6, 11, 40)) * MINUTE_MS
        for person in (ANN, BOB):
            if self.root(person) == person:
                self.give(person, TimerDue(person))

    def merge(self) -> None:
        """They are one customer from then on; or two, where they were one."""
        if self.into is not None:
            self.unmerge(*self.into)
            return
        leaves, keeps = self.by.sample((ANN, BOB), 2)
        if not self.give(leaves, self.asked(leaves, GiveCustomer(customer=leaves, to=keeps))):
            return
        disputes = self.journeys[leaves].disputes
        assert disputes is not None
        given = self.loaded(leaves)
        merged = merging.adopt(given, Unsettled(keeps, leaves, disputes.turn, len(self.records)), self.now_ms)
        self.into = (leaves, keeps)
        self.commit(keeps, [(keeps, merged)], given)

    def unmerge(self, leaves: str, keeps: str) -> None:
        """Each has what is their own, as far as it is in memory."""
        released = self.give(keeps, self.asked(keeps, UnmergeCustomers(other=leaves)))[-1][1]
        assert isinstance(released, CustomerReleased)
        self.unsettled = [Unsettled(leaves, keeps, released.turn, len(self.records))]
        self.journeys[leaves] = self.loaded(leaves)
        self.commit(leaves, [(leaves, merging.returned(released, self.unsettled[0], self.now_ms))])
        self.unsettled, self.into = [], None
        for person in (ANN, BOB):
            for conversation in self.journeys[person].kept:
                assert conversation.customer == customer_of(conversation.id) == person
                related = conversation.relation
                assert related is None or customer_of(related.conversation) == person
                carried = conversation.work.carried if conversation.work else None
                assert carried is None or customer_of(carried.conversation) == person
                if conversation.live and conversation.id not in released.unmoved:
                    identities = {each.identity for each in conversation.interactions}
                    assert identities <= set(IDENTITIES[person].values())
            self.loaded(person)
            assert [place for place, words in self.places(person) if self.has_anothers(words, person)] == []

    def places(self, person: str) -> Iterator[tuple[str, object]]:
        """What is known to the person's agents, and may come to be: where, and the words there. History is no such
        place: messages stay where they were said."""
        journey = self.journeys[person]
        for conversation in journey.kept:
            yield f"what {conversation.id} knows", conversation.context
            yield f"what {conversation.id} is related to", conversation.relation
            yield f"the subject of {conversation.id}", conversation.subject
            if (work := conversation.work) is not None:
                yield f"what {conversation.id} took along", work.carried
            if (handoff := conversation.handoff) is not None and handoff.open and not self.together:
                yield f"the package of {conversation.id}", handoff.package
            if not self.together:
                # A contact goes with all its messages, and with the numbers in them.
                yield f"what {conversation.id} is about", (conversation.tags, conversation.interactions)
        if (aside := journey.aside) is not None:
            yield from ((f"what may come along from {id}", carrying.unpack(packed)) for id, packed in aside.left)
            if not self.together:
                yield "what is remembered", aside.remembered
        own = "SELECT conversation FROM conversation WHERE customer = ?"
        for (id,) in self.archive.execute(own, (person,)).fetchall():
            row = archive_queries.conversation(self.archive, id)
            assert row is not None
            for part in (
                "subject",
                "context",
                "context_values",
                "relations",
                "carried",
                *(() if self.together else ("keys",)),
            ):
                yield f"the archive's {part} of {id}", row[part]

    def has_anothers(self, words: object, person: str) -> bool:
        """Whether any of these is a word that only the other person ever said."""
        other = BOB if person == ANN else ANN
        name, digits = MARKS[other]
        return any(mark in repr(words) for mark in (name, f"B{digits}", f"{digits}00"))

    def give(self, customer: str, given: AnyInput) -> list[tuple[str, AnyEvent]]:
        """Decides and commits; a refusal has no effect."""
        self.count += 1
        before = snapshots.freeze(self.journeys[customer])
        try:
            events = deciding.decide(self.journeys[customer], given, POLICY, self.now_ms).events
        except Refusal:
            events = []
        assert snapshots.freeze(self.journeys[customer]) == before
        if events:
            self.commit(customer, events)
        return events

    def commit(self, customer: str, events: list[tuple[str, AnyEvent]], other: Journey | None = None) -> None:
        """One unit of the journal."""
        entries: list[Entry] = []
        for stream, event in events:
            encoded = msgpack.encode(event)
            self.heads[stream] += 1
            entries.append(Entry(stream, self.heads[stream], Raw(encoded)))
            journeys.evolve(self.journeys[customer], stream, event, encoded, other)
        body = msgpack.encode(entries)
        self.records.append(Record(len(self.records) + 1, customer, self.now_ms, [], len(entries), body))

    # What is looked at

    def loaded(self, customer: str) -> Journey:
        """The journey, from the archive alone."""
        for run in runs(self.records[self.archived :]):
            archive_rows.apply(self.archive, project(run))
        self.archived = len(self.records)
        return asyncio.run(loading.load_whole(customer, self, self.tail)).journey

    async def tail(self, customer: str) -> TailIs:
        """All is archived."""
        return TailIs(0, self.archived, [], [each for each in self.unsettled if each.customer == customer])

    async def position(self) -> int:
        """The archive's."""
        return self.archived

    async def stored(self, customer: str) -> StoredJourney:
        """Without a snapshot."""
        return StoredJourney(self.archived, None, await self.events_of_customer(customer, 0))

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        """As the archive has them."""
        return archive_loads.events_of_customer(self.archive, customer, after_position)

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        """Nobody asks."""
        raise AssertionError

    async def untaken(self, shards: list[int], limit: int) -> list[tuple[str, str]]:
        """Nobody asks."""
        raise AssertionError

    def check(self) -> None:
        """Journal, memory and archive tell the same."""
        for person in (ANN, BOB):
            anew = self.loaded(person)
            if self.root(person) == person:
                assert snapshots.freeze(anew) == snapshots.freeze(self.journeys[person])
        for conversation in self.conversations():
            row = archive_queries.conversation(self.archive, conversation.id)
            assert row is not None
            assert in_archive(row) == in_memory(conversation), conversation.id


def in_memory(state: Conversation) -> dict[str, object]:
    """What a conversation's state says."""
    contacts = state.interactions
    missing = [(gap.field, gap.interaction, gap.at_ms) for gap in state.missing]
    related = state.relation
    words = [(key, each) for key, item in state.context.items() for each in context_items.values_of(item)]
    return {
        "is": (state.customer, state.status.value, state.queue, state.owner, state.subject, state.head),
        "due": (state.wake_at_ms or None, state.close_at_ms or None),
        "done": state.resolved_at_ms if state.close_at_ms else None,
        "contacts": [(each.number, each.identity, each.ended_at_ms or None) for each in contacts],
        "about": [each.tags.topic.value if each.tags and each.tags.topic else "" for each in contacts],
        "numbers": sorted((each.number, key) for each in contacts if each.tags for key in each.tags.keys),
        "came": sorted((each.number, *origin) for each in contacts for origin in each.origins),
        "missing": sorted(missing),
        "known": sorted((key, item.value, item.interaction, item.came_from) for key, item in state.context.items()),
        "said": sorted((key, each.version, each.value, each.channel) for key, each in words),
        "related": [(related.kind.value, related.conversation)] if related else [],
        "carried": state.work.carried.conversation if state.work and state.work.carried else None,
        "offered": (state.handoff.lease, state.handoff.state.value) if state.handoff else None,
        "to be sent": sorted((each.id, each.state) for each in state.deliveries.values()),
    }


def in_archive(row: archive_queries.Row) -> dict[str, object]:
    """What its rows say."""
    contacts, known, said = row["interactions"], row["context"], row["context_values"]
    unsent = [each for each in row["deliveries"] if each["state"] != "sent"]
    return {
        "is": tuple(row[name] for name in ("customer", "status", "queue", "owner", "subject", "head")),
        "due": (row["wake_at_ms"], row["close_at_ms"]),
        "done": row["resolved_at_ms"] if row["status"] != "closed" else None,
        "contacts": [(each["interaction"], each["identity"], each["ended_at_ms"]) for each in contacts],
        "about": [each["topic"] for each in contacts],
        "numbers": sorted((each["interaction"], each["key"]) for each in row["keys"]),
        "came": sorted((each["interaction"], each["origin"], each["origin_interaction"]) for each in row["moved"]),
        "missing": sorted((each["field"], each["interaction"], each["at_ms"]) for each in row["missing"]),
        "known": sorted((each["key"], each["value"], each["interaction"], each["came_from"]) for each in known),
        "said": sorted((each["key"], each["version"], each["value"], each["channel"]) for each in said),
        "related": [(each["kind"], each["earlier"]) for each in row["relations"]],
        "carried": next((each["earlier"] for each in row["carried"]), None),
        "offered": next(((each["lease"], each["state"]) for each in reversed(row["handoffs"])), None),
        "to be sent": sorted((each["delivery"], each["state"]) for each in unsent),
    }


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("closed_max", [1, closing.CLOSED_MAX])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_to_two_people_journal_memory_and_archive_tell_the_same(
    seed: int, closed_max: int, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither has anything of the other's when they are two; also where much has left memory by then."""
    monkeypatch.setattr(closing, "CLOSED_MAX", closed_max)
    with closed(sqlite3.connect(":memory:")) as archive:
        two = Two(seed, archive, together=together)
        for n in range(90):
            two.step()
            if n % 6 == 0:
                two.check()
        if two.into is not None:
            two.merge()
        two.check()
