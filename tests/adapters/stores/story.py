"""Stories for tests of the archive: who said what, as the records a journal would have."""

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Raw, msgpack

from actors.archive.projection import project
from protocol import events as ev
from protocol.archive import Changes
from protocol.entities import Relation
from protocol.journal import Entry, Record

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Story:
    """Numbers what happens as cells and the journal do. `now_ms` moves when told to."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms
        self.records: list[Record] = []
        self.events: list[tuple[str, int, ev.AnyEvent]] = []
        self._heads: Counter[str] = Counter()

    @property
    def position(self) -> int:
        """The newest record's position."""
        return len(self.records)

    def seq(self, stream: str) -> int:
        """The stream's head."""
        return self._heads[stream]

    def unit(self, customer: str, *facts: tuple[str, ev.AnyEvent]) -> Record:
        """One step of a customer's journey, `facts` with their streams; all of them happen now."""
        entries = []
        for stream, fact in facts:
            self._heads[stream] += 1
            event = msgspec.structs.replace(fact, at_ms=self.now_ms)
            self.events.append((stream, self._heads[stream], event))
            entries.append(Entry(stream, self._heads[stream], Raw(msgpack.encode(event))))
        body = msgpack.encode(entries)
        record = Record(self.position + 1, customer, self.now_ms, [], len(entries), body)
        self.records.append(record)
        return record

    def changes(self, after: int = 0) -> Changes:
        """What the records after a position change."""
        return project(self.records[after:])

    # Scenes

    def meet(
        self, customer: str, identity: str, channel: str, text: str, *, subject: str = "", queue: str = "bills"
    ) -> str:
        """A stranger writes: the customer's first conversation. Returns its id."""
        linked = ev.IdentityLinked(
            at_ms=0,
            actor=f"account:{channel}",
            identity=identity,
            evidence="first_contact",
            verified=True,
            account=channel,
        )
        self.unit(customer, (customer, linked))
        return self.open(customer, f"{customer}-1", identity, channel, text, subject=subject, queue=queue)

    def open(
        self,
        customer: str,
        conversation: str,
        identity: str,
        channel: str,
        text: str,
        *,
        subject: str = "",
        queue: str = "bills",
        relation: Relation | None = None,
    ) -> str:
        """A new conversation begins with a message. Returns its id."""
        opened = ev.ConversationOpened(
            at_ms=0, actor="customer", customer=customer, queue=queue, subject=subject, relation=relation
        )
        self.unit(
            customer,
            (conversation, opened),
            (conversation, self.contact(1, identity, channel)),
            (conversation, self.message(1, identity, channel, text, subject)),
        )
        return conversation

    def say(self, customer: str, conversation: str, interaction: int, identity: str, channel: str, text: str) -> Record:
        """The customer's next words."""
        return self.unit(customer, (conversation, self.message(interaction, identity, channel, text)))

    def reply(self, customer: str, conversation: str, interaction: int, to: str, channel: str, text: str) -> str:
        """An agent's answer and the beginning of its delivery. Returns the delivery's id."""
        delivery = f"{conversation}.{self.seq(conversation) + 1}"
        queued = ev.MessageQueued(
            at_ms=0,
            actor="agent:ann",
            interaction=interaction,
            delivery=delivery,
            channel=channel,
            account=channel,
            to=to,
            text=text,
        )
        attempted = ev.DeliveryAttempted(at_ms=0, actor="system", delivery=delivery, attempt=1)
        self.unit(customer, (conversation, queued), (conversation, attempted))
        return delivery

    def contact(self, interaction: int, identity: str, channel: str) -> ev.InteractionStarted:
        """A contact begins."""
        return ev.InteractionStarted(
            at_ms=0, actor="customer", interaction=interaction, channel=channel, account=channel, identity=identity
        )

    def message(
        self, interaction: int, identity: str, channel: str, text: str, subject: str = ""
    ) -> ev.MessageReceived:
        """The customer's words."""
        return ev.MessageReceived(
            at_ms=0,
            actor="customer",
            interaction=interaction,
            channel=channel,
            identity=identity,
            source=f"/{channel}",
            id=f"{channel}-{len(self.events)}",
            provider_ms=self.now_ms - 500,
            text=text,
            subject=subject,
        )


def bodies(events: Iterable[bytes]) -> list[ev.AnyEvent]:
    """Events as the archive keeps them, decoded."""
    decoder = msgspec.json.Decoder(ev.AnyEvent)
    return [decoder.decode(body) for body in events]
