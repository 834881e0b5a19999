"""What is kept of conversations of several customers who are one: bounded, and as it was."""

import random

import pytest
from msgspec import structs

from actors.commands import moving
from actors.identity import mixed
from actors.identity.members import Family, Member
from actors.state import recent
from actors.state.conversation import Conversation, Work
from actors.state.evolving import evolve
from actors.state.journey import Journey
from protocol.entities import CarryOver, IdentityLink, Interaction, Relation, RelationKind, Status
from protocol.events import AnyEvent, ContextSet, ConversationClosed, ConversationOpened, MessageReceived, NoteAdded
from tests.actors.player import CONVERSATION, CUSTOMER

ANN, BEN, NOBODY = "chat:ann", "chat:ben", "chat:whoever"


def closed(*events: AnyEvent, identity: str = BEN, id: str = CONVERSATION, began_in: str = "") -> Conversation:
    """A conversation of Ben's that is over, with one contact."""
    state = Conversation(id=id, customer=CUSTOMER)
    for event in (
        ConversationOpened(at_ms=1, customer=CUSTOMER, queue="default"),
        *events,
        ConversationClosed(at_ms=2),
    ):
        evolve(state, event, mixed._encode(event))
    contact = Interaction(number=1, channel="chat", account="chat", identity=identity, began_in=began_in)
    state.interactions = (contact,)
    state.interaction_count = 1
    return state


def word(
    value: str = "B1", *, interaction: int = 0, said_by: str = "", came_from: str = "", version: int = 1
) -> ContextSet:
    """Something that was said."""
    return ContextSet(
        at_ms=1,
        key="contract",
        value=value,
        channel="chat",
        interaction=interaction,
        said_by=said_by,
        came_from=came_from,
        version=version,
    )


def a_family() -> Family:
    """Ann's customer is a member."""
    member = Member(via=CUSTOMER, turn=1, given_at=1, at_ms=1, seq=1, opened=0, identities=(ANN,))
    return Family(members={"anns": member})


@pytest.mark.parametrize(
    ("conversation", "kept"),
    [
        pytest.param(closed(word(interaction=1)), False, id="all his own"),
        pytest.param(closed(identity=ANN), True, id="her contact"),
        pytest.param(closed(word(interaction=1, said_by=ANN)), True, id="her word in his contact"),
        pytest.param(closed(word(said_by=ANN, came_from=f"{CUSTOMER}-9")), True, id="her word from his earlier one"),
        pytest.param(closed(word(said_by=BEN, came_from="anns-9")), False, id="his word from her earlier one"),
        pytest.param(closed(word(came_from=f"{CUSTOMER}-9")), True, id="nobody knows whose word"),
        pytest.param(closed(identity=BEN, id="anns-1"), True, id="his contact in hers"),
        pytest.param(closed(identity=ANN, id="anns-1"), False, id="all her own"),
        pytest.param(closed(identity=NOBODY), False, id="from an address that he had"),
        pytest.param(closed(identity=NOBODY, id="anns-1"), False, id="from an address that she had"),
        pytest.param(closed(identity=NOBODY, began_in="anns-1"), True, id="from one that she had, put into his"),
    ],
)
def test_what_is_of_several_is_kept(conversation: Conversation, kept: bool) -> None:
    """Contacts and words, by whoever they are of."""
    state, family = Journey(customer=CUSTOMER), a_family()
    state.links = _links(ANN, BEN)
    mixed.leave(state, family, conversation)
    assert ([id for id, _ in family.packed] == [conversation.id], family.mixed) == (kept, ())


def test_what_is_related_to_hers_is_kept() -> None:
    """The relation, and what was done there, are not its past once they are two."""
    for related in (True, False):
        state, family, conversation = Journey(customer=CUSTOMER), a_family(), closed()
        if related:
            conversation.relation = Relation(kind=RelationKind.REPEATS, conversation="anns-1")
        else:
            conversation.work = Work(carried=CarryOver(conversation="anns-1"))
        mixed.leave(state, family, conversation)
        assert [id for id, _ in family.packed] == [conversation.id]


def test_it_is_kept_with_its_words_and_without_the_rest() -> None:
    """Of the newest events those that an unmerge looks at: a word that a newer one took the place of, and who wrote a
    subject."""
    written = MessageReceived(
        at_ms=1,
        interaction=1,
        channel="chat",
        identity=ANN,
        source="x",
        id="1",
        provider_ms=1,
        text="words",
        subject="bill",
    )
    conversation = closed(
        word("B1", interaction=1), NoteAdded(at_ms=1, text="a note"), written, word("B2", interaction=1, version=2)
    )
    again = mixed.again(mixed.keep(conversation))
    assert (again.id, again.head, again.status, again.interactions) == (
        CONVERSATION,
        conversation.head,
        Status.CLOSED,
        conversation.interactions,
    )
    assert again.context == conversation.context
    said = [mixed._event(encoded) for encoded in recent.events(again.recent)]
    assert [event.value for event in said if isinstance(event, ContextSet)] == ["B1", "B2"]
    assert len(said) == again.recent_count == 3
    assert moving.subjects(again) == [("bill", ANN)]
    assert b"words" not in again.recent


def test_one_of_thirty_contacts_with_as_many_words_takes_half_of_its_bytes() -> None:
    """Recent events that said them left aside: where these do not fit they are not kept."""
    given = random.Random(1)
    times = [1_800_000_000_000 + given.randrange(10**9) for _ in range(30)]
    contacts = tuple(
        Interaction(number=n, channel="chat", account="chat", identity=(ANN, BEN)[n % 2], started_at_ms=at_ms)
        for n, at_ms in enumerate(times, 1)
    )
    state = Conversation(id=CONVERSATION, customer=CUSTOMER, interactions=contacts, interaction_count=30)
    for n, at_ms in enumerate(times, 1):
        said = structs.replace(word(f"P{given.randrange(10**8)}", interaction=n), at_ms=at_ms, key=f"key-{n}")
        evolve(state, said, b"")
    assert len(state.context) == 30
    assert 0 < len(mixed.keep(structs.replace(state, recent=b"", recent_count=0))) < mixed.PACKED_BYTES_MAX / 2


def test_one_that_is_too_long_is_named_alone() -> None:
    """Where what is known in it is too much; the words that others took the place of go first."""
    state = Journey(customer=CUSTOMER)
    many = [word("".join(map(str, range(n * 400, n * 400 + 200))), interaction=1) for n in range(40)]
    known = [structs.replace(said, key=f"key {n}") for n, said in enumerate(many)]
    state.links = _links(ANN)
    for said, named in ((many, ()), (known, (CONVERSATION,))):
        family = a_family()
        mixed.leave(state, family, closed(*said, identity=ANN))
        assert (len(family.packed), family.mixed) == (0 if named else 1, named)


def test_the_oldest_are_named_alone_where_they_are_too_many() -> None:
    """An unmerge says of which it could not look at what is in them."""
    state, family = Journey(customer=CUSTOMER), a_family()
    state.links = _links(ANN)
    ids = [f"{CUSTOMER}-{n}" for n in range(1, mixed.PACKED_MAX + 3)]
    for id in ids:
        mixed.leave(state, family, closed(identity=ANN, id=id))
    assert [id for id, _ in family.packed] == ids[2:]
    assert family.mixed == tuple(ids[:2])


def _links(*identities: str) -> tuple[IdentityLink, ...]:
    return tuple(IdentityLink(identity=each, evidence="x") for each in identities)
