"""The conversation: one issue of one customer across channels; its state, and what can be read from it.

`evolving.py`, with `interactions.py` for its contacts, is the only place where the state changes. What may happen is
decided in `contact.py` (the customer's side), `commanding.py` (the agents' side), `delivery.py` (the outbox) and
`confirming.py` (what became of what left).

    open ⇄ snoozed    open, snoozed → resolved → open, snoozed    resolved → closed (in time)
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from actors.rules.taxonomy import DIMENSIONS
from actors.state import context_items, recent
from protocol.entities import CarryOver, ContextItem, Delivery, Interaction, MissingField, Relation, Status, Tags
from protocol.events import AnyEvent, InteractionTagged
from protocol.handoffs import Handoff

DELIVERIES_MAX = 256
"""Undelivered messages of a live conversation. For one more the oldest dead letter makes way, as the archive has it;
where none is dead, a command is refused (`has_room`). Other bounds: `evolving.py`, `interactions.py` and
`actors/context/knowing.py`."""

LEFT_BY_MAX = 32
"""Changes of the account by which messages leave; the oldest are forgotten, and a report on what left before them may
be that of any account that the conversation had a contact by."""

_NO_ITEMS: dict[str, ContextItem] = {}
_NO_DELIVERIES: dict[str, Delivery] = {}


class Spoken(Struct, kw_only=True, gc=False):
    """Where the customer and we speak, of a conversation that was on more than one channel."""

    channel: str
    withheld: tuple[str, ...] = ()
    """Keys of context items that by policy are not to be said there."""


class Work(Struct, kw_only=True, gc=False):
    """What was done so far. Conversations that nobody has touched yet have none."""

    handoff: Handoff | None = None
    """The newest one, also when it is over: its lease counts the offers."""
    actions: int = 0
    """Replies, notes and resolutions."""
    resolutions: int = 0
    resolved_at_ms: int = 0
    """When it was last said to be done."""
    carried: CarryOver | None = None
    left_by: tuple[tuple[int, str], ...] = ()
    """From which seq on messages to the customer leave by which account, oldest first: one entry for each change of
    account, since nearly all of a conversation's leave by one."""
    worded: bytes = b""
    """What the newest messages to the customer say (see `actors.state.worded`)."""
    given_up: tuple[int, ...] = ()
    """The seqs of dead letters that made way for newer messages, as many as of those that may be kept: one of them may
    turn out to have left all the same."""


class Conversation(Struct, kw_only=True, gc=False):
    """The live state. `head` is the seq of its newest event. Nothing in it refers back to it, so that the cyclic
    collector need not know of it: `gc=False` saves the walk, and 16 bytes."""

    id: str
    customer: str
    head: int = 0
    status: Status = Status.OPEN
    queue: str = ""
    owner: str = ""
    subject: str = ""
    opened_at_ms: int = 0
    updated_at_ms: int = 0
    until_ms: int = 0
    """When a snoozed one wakes, and a resolved one closes; 0 for any other."""
    relation: Relation | None = None
    policy: int = 0
    """The version of the policy it was opened under."""
    interactions: tuple[Interaction, ...] = ()
    """Oldest first. Replaced and never changed, as `context` is: a tuple of one takes half of what a list does."""
    interaction_count: int = 0
    context: dict[str, ContextItem] = field(default_factory=lambda: _NO_ITEMS)
    deliveries: dict[str, Delivery] = field(default_factory=lambda: _NO_DELIVERIES)
    """Undelivered outbound messages, oldest first. It and `context` are replaced, never changed: most conversations
    have neither, and share the empty ones."""
    references: tuple[str, ...] = ()
    """Thread references of its messages, oldest first."""
    missing: tuple[MissingField, ...] = ()
    """Fields that a capture template found missing in its contacts, ever: none is asked for twice."""
    recent: bytes = b""
    """The newest events, ending with the one at `head` (see `actors.state.recent`)."""
    recent_count: int = 0
    spoken: Spoken | None = None
    """Most conversations are on one channel and withhold nothing: the first contact says where."""
    rest_at_ms: int = 0
    """When the first of its contacts may rest; 0: no time ends them."""
    tags: Tags | None = None
    """What it is about; None where nothing has said so."""
    subject_by: str = ""
    """The address that wrote the subject; empty where it was there as it opened: who had the first contact."""
    work: Work | None = None

    @property
    def channel(self) -> str:
        """Where the customer and we speak (see `actors.context.switching`); empty before the first contact."""
        if self.spoken is not None:
            return self.spoken.channel
        return self.interactions[0].channel if self.interactions else ""

    @property
    def withheld(self) -> tuple[str, ...]:
        """Keys of context items that by policy are not to be said there."""
        return self.spoken.withheld if self.spoken is not None else ()

    @property
    def wake_at_ms(self) -> int:
        """When it wakes; 0 for one that is not snoozed."""
        return self.until_ms if self.status is Status.SNOOZED else 0

    @property
    def close_at_ms(self) -> int:
        """When it closes; 0 for one that is not resolved."""
        return self.until_ms if self.status is Status.RESOLVED else 0

    @property
    def handoff(self) -> Handoff | None:
        """See `Work`."""
        return self.work.handoff if self.work else None

    @property
    def live(self) -> bool:
        """Whether it can still change."""
        return self.status is not Status.CLOSED

    @property
    def whole(self) -> bool:
        """Whether memory knows when it was opened. Of what is over retention may have taken facts: what is left is
        neither shown nor worked on (see `actors.cells.remains`)."""
        return self.opened_at_ms > 0

    @property
    def resolved_at_ms(self) -> int:
        """When it was last said to be done; 0: never."""
        return self.work.resolved_at_ms if self.work else 0


def knows(state: Conversation, field: str) -> bool:
    """Whether somebody has said it, in any contact; of tags and of numbers, also whether anything tells it."""
    return context_items.is_said(state.context, field) or told(state, field) != ""


def told(state: Conversation, name: str) -> str:
    """What tags tell of one of `DIMENSIONS`, or the last number of that kind that was named; or empty."""
    if state.tags is None:
        return ""
    return tag_of(state, name) or numbers(state).get(name, "")


def numbers(state: Conversation) -> dict[str, str]:
    """Of each kind of number that names one matter the last that was named."""
    keys = state.tags.keys if state.tags is not None else ()
    return {kind: number for kind, _, number in (key.partition(":") for key in keys)}


def tag_of(state: Conversation, name: str) -> str:
    """What the conversation is about, by one of `DIMENSIONS`; empty where nothing tells, and for every other name."""
    tag = getattr(state.tags, name) if name in DIMENSIONS and state.tags is not None else None
    return tag.value if tag is not None else ""


def tagged_by(decided: Sequence[AnyEvent]) -> set[str]:
    """Which of `DIMENSIONS`, and which kinds of numbers, these events tell."""
    facts = [fact for fact in decided if isinstance(fact, InteractionTagged)]
    named = {key.partition(":")[0] for fact in facts for key in fact.keys}
    return named | {name for fact in facts for name in DIMENSIONS if getattr(fact, name) is not None}


def interaction_of(state: Conversation, number: int) -> Interaction | None:
    """The interaction with that number, while it is in memory."""
    for interaction in reversed(state.interactions):
        if interaction.number == number:
            return interaction
    return None


def suffix(state: Conversation, seq: int) -> list[bytes] | None:
    """The events after `seq`, or None where memory does not reach back so far."""
    missing = state.head - seq
    if missing < 0 or missing > state.recent_count:
        return None
    return recent.events(state.recent)[state.recent_count - missing :]


def resting(state: Conversation) -> list[Interaction]:
    """The contacts that go on and that time ends. None once it is over, though nothing may have said that they
    ended."""
    if not state.live:
        return []
    return [each for each in state.interactions if each.rest_at_ms and not each.ended_at_ms]


def name_speakers(state: Conversation, contacts: Iterable[Interaction]) -> dict[str, ContextItem]:
    """What is known, where each word that was said in one of these contacts says who had that: they leave, or the word
    does. Words that are no contact's stay as they are."""
    speakers = {contact.number: contact.identity for contact in contacts}
    known: dict[str, ContextItem] = {}
    for key, item in state.context.items():
        values = context_items.values_of(item)
        told = [context_items.named(value, speakers.get(value.interaction, "")) for value in values]
        known[key] = item if told == values else context_items.item_of(key, told, item.rule)
    return known
