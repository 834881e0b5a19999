"""Where a person stands in others' streams by the journal's own facts, for who forgets them. Pure.

The archive says it faster (`traces.py` of its store), and of all that it has. What retention took from it may
be in the journal for longer, by the policy: of that the journal alone knows whose it was.
"""

from collections.abc import Callable, Collection

from actors.archive.projection import entries_of
from protocol.entities import Interaction
from protocol.events import (
    AnyEvent,
    ConversationOpened,
    CustomerReleased,
    InputQuarantined,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
)
from protocol.ids import ACCOUNT
from protocol.journal import Record

OfQuarantine = InputQuarantined | ReplayBegun | ReplayRefused | QuarantineReplayed
Contact = tuple[str, int]
"""Conversation, and number there."""


class JournalTraces:
    """Hears all records in their order, and tells then what of each is the person's.

    `streams` are their own, `owners` the customers whose ids these begin with, `names` their identities. `is_named`
    says of what an account refused, or somebody made of that, whether it names them.
    """

    def __init__(
        self,
        streams: Collection[str],
        owners: Collection[str],
        names: Collection[str],
        is_named: Callable[[OfQuarantine], bool],
    ) -> None:
        self._streams = streams
        self._owners = frozenset(owners)
        self._names = names
        self._is_named = is_named
        self._origins: dict[Contact, list[Contact]] = {}
        """By contact that is in a conversation of theirs: where in others' its messages are."""
        self._unmoved: set[str] = set()
        """Conversations that an unmerge could not take apart."""
        self._theirs: dict[Contact, list[Contact]] = {}
        """By contact from an address of theirs in another's conversation: there, and where else its messages are."""
        self.quarantined: set[str] = set()
        """Inputs that accounts refused."""
        self._contacts: set[Contact] | None = None
        """What `contacts` gives; None: to be found."""

    def hear(self, record: Record) -> None:
        """Takes what the unit says of where the person is."""
        self._contacts = None
        for stream, _, event in entries_of(record):
            match event:
                case InteractionReceived(interaction=came) if stream in self._streams:
                    self._origins[stream, came.number] = self._others(came)
                case InteractionMoved() if stream in self._streams:
                    self._origins.pop((stream, event.interaction), None)
                case InteractionReceived(interaction=came) if self._may_be_theirs(came.identity):
                    self._theirs[stream, came.number] = [(stream, came.number), *self._others(came)]
                case InteractionStarted() if self._may_be_theirs(event.identity):
                    self._theirs[stream, event.interaction] = [(stream, event.interaction)]
                case CustomerReleased() if not self._owners.isdisjoint(event.members):
                    self._unmoved.update(event.unmoved)
                case InputQuarantined() | ReplayBegun() | ReplayRefused() | QuarantineReplayed():
                    if stream.startswith(ACCOUNT) and (is_emptied(event) or self._is_named(event)):
                        self.quarantined.add(event.quarantine)
                case _:
                    pass

    @property
    def contacts(self) -> set[Contact]:
        """Theirs that stand in others' conversations: from where each came, and those that could not be moved."""
        if self._contacts is None:
            unmoved = [places for (stream, _), places in self._theirs.items() if stream in self._unmoved]
            self._contacts = {each for places in (*self._origins.values(), *unmoved) for each in places}
        return self._contacts

    def _others(self, came: Interaction) -> list[Contact]:
        """Where in others' conversations its messages are."""
        return [(stream, number) for stream, number in came.origins if stream not in self._streams]

    def places_in(self, record: Record) -> set[Contact]:
        """The stream and seq of each of the unit's events that is of the person, and in another's stream."""
        contacts = self.contacts
        if not contacts and not self.quarantined:
            return set()
        return {
            (stream, seq)
            for stream, seq, event in entries_of(record)
            if stream not in self._streams
            and ((stream, _number(event)) in contacts or self._is_quarantined(stream, event))
        }

    def _may_be_theirs(self, identity: str) -> bool:
        """Also where it was emptied: whoever was interrupted has that left to do in the archive."""
        return not identity or identity in self._names

    def _is_quarantined(self, stream: str, event: AnyEvent) -> bool:
        return isinstance(event, OfQuarantine) and stream.startswith(ACCOUNT) and event.quarantine in self.quarantined


def is_emptied(event: OfQuarantine) -> bool:
    """Whether an erasure had it before, perhaps this one, which was interrupted: what is refused has a reason."""
    return isinstance(event, InputQuarantined) and not (event.raw or event.id or event.reason)


def _number(event: AnyEvent) -> int:
    """Of which contact an event is; 0: of none. An opening is of the first: its subject is theirs."""
    match event:
        case ConversationOpened():
            return 1
        case InteractionReceived(interaction=came):
            return came.number
        case _:
            number = getattr(event, "interaction", 0)
            return number if isinstance(number, int) else 0
