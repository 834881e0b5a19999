"""Where a person stands in others' streams, by the journal alone."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from actors.erasure.journal_traces import JournalTraces
from protocol import events as ev
from protocol.entities import Interaction
from protocol.journal import Entry, Record

ANN, ANNS, BOBS, MAIL = "cuann", "cuann-1", "cubob-1", "mailto:ann@example.org"
OPENED = ev.ConversationOpened(at_ms=0, customer="cubob", queue="q", subject="Ann's bill")
NOTE = ev.NoteAdded(at_ms=0, text="Bob's")


def started(number: int, identity: str) -> ev.InteractionStarted:
    """A contact begins."""
    return ev.InteractionStarted(at_ms=0, interaction=number, channel="email", account="mail", identity=identity)


def came(number: int, *origins: tuple[str, int]) -> ev.InteractionReceived:
    """A contact of Ann's comes."""
    contact = Interaction(number=number, channel="email", account="mail", identity=MAIL, origins=origins)
    return ev.InteractionReceived(at_ms=0, interaction=contact, came_from=origins[-1][0], channel="email")


def moved(number: int, to: str, there: int) -> ev.InteractionMoved:
    """And goes."""
    return ev.InteractionMoved(at_ms=0, interaction=number, to=to, number=there, channel="")


def places(*facts: tuple[str, ev.AnyEvent]) -> list[tuple[str, int]]:
    """Of these facts, one a unit, those that are Ann's and in another's stream."""
    heads: dict[str, int] = {}
    records = []
    for n, (stream, event) in enumerate(facts, 1):
        heads[stream] = heads.get(stream, 0) + 1
        body = msgspec.msgpack.encode([Entry(stream, heads[stream], Raw(msgspec.msgpack.encode(event)))])
        records.append(Record(n, "cubob", 0, [], 1, body))
    return told(records)


def told(records: Sequence[Record]) -> list[tuple[str, int]]:
    """What the traces of Ann tell of these records."""
    traces = JournalTraces({ANN, ANNS}, {ANN}, {MAIL}, lambda fact: b"ann" in getattr(fact, "raw", b""))
    for record in records:
        traces.hear(record)
    return sorted(place for record in records for place in traces.places_in(record))


def test_what_was_said_in_a_contact_that_is_theirs_by_now_is_theirs() -> None:
    """With the subject of the conversation that it began; whatever else was said there is the other's."""
    facts = ((BOBS, OPENED), (BOBS, started(1, MAIL)), (BOBS, NOTE), (BOBS, moved(1, ANNS, 1)))
    assert places(*facts, (ANNS, came(1, (BOBS, 1)))) == [(BOBS, 1), (BOBS, 2), (BOBS, 4)]


def test_a_contact_that_left_them_again_is_not_theirs() -> None:
    """It is the other's, whoever had it for a while."""
    facts = ((BOBS, started(2, "mailto:bob@example.org")), (BOBS, moved(2, ANNS, 1)), (ANNS, came(1, (BOBS, 2))))
    assert places(*facts, (ANNS, moved(1, "cubob-2", 1))) == []


def test_a_contact_that_could_not_be_moved_is_theirs_where_the_release_names_its_conversation() -> None:
    """Elsewhere the address was the other's when it was said."""
    split = (("cubob-2", came(1, (BOBS, 2))), ("cubob-3", started(1, MAIL)))
    released = ev.CustomerReleased(
        at_ms=0, other=ANN, turn=2, members=[ANN], links=[], inherited={}, unmoved=["cubob-2"], reason=""
    )
    facts = ((BOBS, OPENED), (BOBS, started(2, MAIL)), *split)
    assert places(*facts, ("cubob", released)) == [(BOBS, 2), ("cubob-2", 1)]
    assert places(*facts) == []


def test_all_facts_of_refused_input_that_names_them_are_theirs() -> None:
    """In an account's stream: what is in another customer's is that one's."""
    kept: list[ev.AnyEvent] = [
        ev.InputQuarantined(
            at_ms=0, quarantine=f"q{n}", account="mail", source="s", id="1", code=1, field="", reason="", raw=raw
        )
        for n, raw in enumerate((b"ann", b"bob"))
    ]
    begun: list[ev.AnyEvent] = [ev.ReplayBegun(at_ms=0, quarantine=f"q{n}") for n in (0, 1)]
    facts: list[tuple[str, ev.AnyEvent]] = [
        (stream, fact) for stream in ("account:mail", "cubob") for fact in (*kept, *begun)
    ]
    assert places(*facts) == [("account:mail", 1), ("account:mail", 3)]
