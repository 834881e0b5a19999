"""Erasing, pure: what is forgotten of each fact, and that what is left can still be read and lived through."""

from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect

from actors.decisions.once import OnceKeys, Seen
from actors.erasure import erasing
from actors.erasure.erasing import Addresses
from actors.identity.disputes import FORGOTTEN, Disputes
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from protocol import events as ev
from protocol.archive import StoredEvent
from protocol.commands import Reply, UnlinkIdentity
from protocol.entities import Delivery, IdentityLink, Status, Tag
from protocol.errors import Code, Refusal
from protocol.journal import Entry, Record
from tests.actors.player import Player

SECRET = "Zanzibar"


def _filled(kind: inspect.Type, name: str) -> Any:
    """A value of a type, with a secret wherever one fits."""
    match kind:
        case inspect.StrType():
            return "ours" if name in erasing.KEPT else SECRET
        case inspect.BytesType():
            return SECRET.encode()
        case inspect.IntType():
            return 7
        case inspect.FloatType():
            return 7.5
        case inspect.BoolType():
            return True
        case inspect.EnumType(cls=cls):
            return next(iter(cls))
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.ListType(item_type=item):
            return [_filled(item, name)]
        case inspect.VarTupleType(item_type=item):
            return (_filled(item, name),)
        case inspect.TupleType(item_types=items):
            return tuple(_filled(item, name) for item in items)
        case inspect.DictType(value_type=value):
            return {SECRET: _filled(value, name)}
        case inspect.UnionType(types=types):
            return _filled(types[0] if not isinstance(types[0], inspect.NoneType) else types[1], name)
        case inspect.StructType(cls=cls) if cls is Tag:
            return Tag(value="ours", tagger="ours", matched=SECRET)
        case inspect.StructType(cls=cls):
            return _sample(cls)
        case _:
            return SECRET


def _sample(cls: type) -> Any:
    """A struct with every field filled."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return cls(**{field.name: _filled(field.type, field.name) for field in info.fields})


@pytest.mark.parametrize("member", get_args(ev.AnyEvent), ids=lambda member: member.__name__)
def test_every_event_is_redacted_and_can_still_be_read(member: type[ev.AnyEvent]) -> None:
    """Fields that are not known to be ours are empty; a new type of event that cannot bear that shows here."""
    event = _sample(member)
    redacted = erasing.redacted(event)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(redacted), type=ev.AnyEvent) == redacted
    if member in (ev.CustomerErased, ev.InputErased):
        assert redacted == event
        return
    for name in member.__struct_fields__:
        assert SECRET not in str(getattr(redacted, name)), name
    assert redacted.at_ms == event.at_ms
    assert redacted.once == event.once


def test_of_a_unit_only_the_events_of_the_streams_are_redacted() -> None:
    """And one at a place that is named; what has none of them is the same unit."""
    note = ev.NoteAdded(at_ms=1, actor="agent:bo", text=SECRET)
    entries = [
        Entry(stream, seq, msgspec.Raw(msgspec.msgpack.encode(note)))
        for stream, seq in (("cu1-1", 1), ("cu2-1", 1), ("cu2-1", 2))
    ]
    record = Record(1, "cu1", 1, [], 3, msgspec.msgpack.encode(entries))
    redacted = erasing.redacted_record(record, {"cu1-1"}, {("cu2-1", 2)})
    decoded = msgspec.msgpack.decode(redacted.body, type=list[tuple[str, int, ev.AnyEvent]])
    assert [getattr(event, "text", None) for _, _, event in decoded] == ["", SECRET, ""]
    assert erasing.redacted_record(record, {"cu9"}, set()) is record


def test_of_a_unit_no_address_of_the_person_is_left() -> None:
    """Neither among those that it assigns, nor in what it says of a merge, whosever stream that is; others' stay."""
    merged = ev.CustomerMerged(at_ms=1, other="cu1", turn=1, given_at=1, identities=["tel:1", "tel:2"])
    entries = [Entry(stream, 1, msgspec.Raw(msgspec.msgpack.encode(merged))) for stream in ("cu1", "cu2", "cu3")]
    record = Record(1, "cu2", 1, ["tel:1", "tel:3"], 3, msgspec.msgpack.encode(entries))
    redacted = erasing.redacted_record(record, {"cu1"}, {("cu2", 1)}, Addresses(names={"tel:1"}))
    decoded = msgspec.msgpack.decode(redacted.body, type=list[tuple[str, int, ev.AnyEvent]])
    assert [getattr(event, "identities", None) for _, _, event in decoded] == [["tel:2"], ["tel:2"], ["tel:1", "tel:2"]]
    assert redacted.identities == ["tel:3"]
    assigning = erasing.redacted_record(record, (), (), Addresses(names={"tel:3"}))
    assert (assigning.identities, assigning.body) == (["tel:1"], record.body)


def test_what_is_open_is_closed_and_the_person_forgotten() -> None:
    """In this order, under the operator's name."""
    state = Journey(customer="cu1")
    state.kept = (
        Conversation(id="cu1-1", customer="cu1"),
        Conversation(id="cu1-2", customer="cu1", status=Status.CLOSED),
    )
    facts = erasing.decide(state, "operator:root", "asked", 5)
    assert [(stream, type(event).__name__, event.actor) for stream, event in facts] == [
        ("cu1-1", "ConversationClosed", "operator:root"),
        ("cu1", "CustomerErased", "operator:root"),
    ]


def test_nobody_is_erased_while_a_message_to_them_is_on_its_way() -> None:
    """It would be lost without a word, or leave after all."""
    waiting = Delivery(id="cu1-1.2", channel="sms", account="sms", to="tel:+1", text="hi")
    conversation = Conversation(id="cu1-1", customer="cu1", deliveries={waiting.id: waiting})
    with pytest.raises(Refusal) as refused:
        erasing.decide(Journey(customer="cu1", kept=(conversation,)), "operator:root", "asked", 5)
    assert refused.value.code == Code.NOT_ALLOWED_NOW


def test_a_message_that_cannot_leave_keeps_nobody_from_being_forgotten() -> None:
    """Nobody may serve its line for an hour, and a legal deadline is a day: it is given up with the address it is for,
    and the refusal says by which command."""
    player = Player()
    player.message()
    [queued, *_] = player.command(Reply(text="hello"))
    assert isinstance(queued, ev.MessageQueued)
    player.outcome(queued.delivery, 1, "untaken")
    with pytest.raises(Refusal, match="throughline customer unlink"):
        erasing.decide(player.state, "operator:root", "asked", 5)
    player.command(UnlinkIdentity(identity=queued.to), conversation="")
    assert erasing.decide(player.state, "operator:root", "asked", 5) != []


def test_what_came_back_to_the_person_says_only_whose_it_was_beside_them() -> None:
    """Their own addresses went, also to another by now; those of a member are told where that one linked them."""
    links = [IdentityLink(identity=f"tel:{n}", evidence="x", actor="account:chat", at_ms=n) for n in range(4)]
    returned = ev.CustomerReturned(at_ms=3, other="cua", turn=2, released_at=2, links=links)
    told = {("tel:2", 2, "account:chat"), ("tel:1", 7, "account:chat")}
    of = Addresses(names={"tel:0"}, ever={"tel:0", "tel:1", "tel:2"}, told=told)
    assert erasing.redacted_own(returned, of) == msgspec.structs.replace(returned, links=links[2:])
    assert erasing.redacted_mention(returned, of) == msgspec.structs.replace(returned, links=links[1:])


def test_what_a_merge_brought_of_the_person_leaves_the_others_stream() -> None:
    """Another's own addresses stay: their affairs are folded from them."""
    of = Addresses(names={"tel:1", "mailto:z@example.org"})
    merged = ev.CustomerMerged(
        at_ms=1, other="cub", turn=1, given_at=1, members=["cub"], identities=["tel:1", "tel:2"], reason=SECRET
    )
    bare = erasing.redacted_mention(merged, of)
    assert bare == msgspec.structs.replace(merged, identities=["tel:2"], reason="")
    links = [IdentityLink(identity="mailto:z@example.org", evidence="x"), IdentityLink(identity="tel:2", evidence="x")]
    released = ev.CustomerReleased(at_ms=2, other="cub", turn=2, members=["cub"], links=links, reason=SECRET)
    assert erasing.redacted_mention(released, of) == msgspec.structs.replace(released, links=links[1:], reason="")
    returned = ev.CustomerReturned(at_ms=3, other="cua", turn=2, released_at=2, links=links)
    assert erasing.redacted_mention(returned, of) == msgspec.structs.replace(returned, links=links[1:])
    assert SECRET not in repr(erasing.redacted_mention(ev.NoteAdded(at_ms=4, actor="agent:bo", text=SECRET), of))


def test_what_a_freed_address_leaves_says_what_came_and_not_where() -> None:
    """For as long as each may come again; also of what came from an address before it was theirs."""
    state = Journey(customer="cu1")
    for key, at_s in ((1, 100), (2, 200)):
        state.once.add(key, Seen(digest=9, at_s=at_s, conversation=3, seq=4))
    earlier = OnceKeys()
    earlier.add(3, Seen(digest=9, at_s=150, conversation=1, seq=1))
    state.disputes = Disputes(inherited=(("cu2", earlier.packed),))
    freed = erasing.freed(state, {"b", "a"}, [], once_keys_ms=100_000, now_ms=250_000)
    assert freed is not None
    assert (freed.identities, freed.until_ms) == (["a", "b"], 300_000)
    [(whose, packed)] = msgspec.msgpack.decode(freed.keys).items()
    known = OnceKeys(packed)
    assert (whose, known.get(1)) == (FORGOTTEN, None)
    assert [known.get(key) for key in (2, 3)] == [Seen(9, 200, 0, 0), Seen(9, 150, 0, 0)]
    assert erasing.freed(state, {"a"}, [], once_keys_ms=100_000, now_ms=301_000) is None


def test_the_proof_of_a_switch_goes_from_anothers_row_as_from_the_fact() -> None:
    """A row that the person's own fact made in another's conversation is what a rebuild makes of it."""
    switched = ev.ChannelSwitched(
        at_ms=1,
        actor="customer",
        from_channel="email",
        to_channel="chat",
        interaction=2,
        by="customer",
        continuity="queue:default",
        items_before=1,
        items_after=1,
        kept=1,
        proof_before="p",
        proof_after="q",
        reason=SECRET,
    )
    mention = StoredEvent(7, "cu2-1", 3, msgspec.json.encode(switched))
    own = StoredEvent(9, "cu1", 1, msgspec.json.encode(ev.CustomerErased(at_ms=2, reason="")))
    [row] = [each for each in erasing.changes("cu1", [own], [mention]).patches if each.table == "channel_switch"]
    assert row.values is not None
    assert (row.key, row.new, row.values["proof_before"], row.values["proof_after"]) == (("cu2-1", 3), False, "", "")
