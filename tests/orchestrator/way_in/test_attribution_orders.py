"""Attribution under random orders of everything: each event is answered once, those that share an address are decided
as they came, and nothing is left of it, however identities are linked, unlinked and given to others meanwhile, and
whoever dies."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.cells.astray import Astray
from actors.cells.live import Envelope
from actors.lines import Line
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.way_in.attribution import Attribution
from orchestrator.way_in.proposals import TakenEvent
from protocol.errors import Refusal
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered, AnyLink, AnyToCell, Input, Moved, Unlinked

IDENTITIES = ("web:1", "tel:+1", "crm:1")
OTHERS = ("cuann", "cubob")


class Gateway:
    """The line on which the cells are asked."""

    peer = "gateway:0"
    open = True
    full = False

    def send(self, message: AnyLink) -> None:
        raise AssertionError("answers are handed over by the test")


GATEWAY: Line = Gateway()


class World:
    """The journal's identities, customers' cells that answer each customer's questions in order, and a slow store."""

    def __init__(self) -> None:
        self.owner: dict[str, str] = {}
        self.asked: dict[str, list[tuple[Input, Callable[[Reply], None]]]] = {}
        self.looking: list[asyncio.Future[None]] = []
        self.taken: list[InboundEvent] = []
        self.known = set(OTHERS)
        """Customers of whom the journal has something."""
        self.moved: dict[str, tuple[set[str], tuple[str, str] | None]] = {}
        """By customer: identities of what its cell answered `Moved`, and so answers what follows them; and to where."""
        self.accepted: list[int] = []
        """Events, as they were decided."""
        self.decided_by: dict[int, str] = {}
        self.astray: dict[str, Astray] = {}
        """By customer."""
        self.apart: set[tuple[int, int]] = set()
        """Events, each with one that was asked of one customer while it was with another."""
        self.answers: list[str] = []
        self._refs = itertools.count(1)
        ids = itertools.count(1)
        # An attribution needs no more of the cells than this has.
        cells = cast(Cells, self)
        self.attribution = Attribution(cells, self._customers_of, lambda: f"cunew{next(ids)}", self._answer)

    # As the cells

    def new_ref(self) -> int:
        return next(self._refs)

    def follow_turned_away(self, overtaking: Callable[[Sequence[Input]], list[Moved | Unlinked]]) -> None:
        self._overtaking = overtaking

    def inputs_under_way(self, customer: str) -> list[InboundEvent]:
        return [question.event for question, _ in self.asked.get(customer, [])]

    def put(self, customer: str, ref: int, question: AnyToCell, done: Callable[[Reply], None]) -> None:
        assert isinstance(question, Input)
        number = int(question.event.id)
        for other in [each for each in self.asked if each != customer]:
            self.apart |= {(int(event.id), number) for event in self.inputs_under_way(other)}
        self.asked.setdefault(customer, []).append((question, done))

    def broke(self, exc: Exception) -> None:
        raise exc

    # As the store, and who takes events in

    async def _customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.looking.append(waits)
        await waits
        return {i: self.owner[i] for i in identities if i in self.owner}

    def _answer(self, reply: Reply | Refusal, taken: TakenEvent) -> None:
        self.answers.append(taken.event.id)

    # What happens

    def take(self, identities: Sequence[str]) -> None:
        """The next event comes."""
        number = len(self.taken)
        event = InboundEvent(
            id=str(number), source="s", time_ms=1, account="chat", channel="chat", identities=list(identities),
            data=MessageArrived(text="hi"),
        )  # fmt: skip
        self.taken.append(event)
        self.attribution.send(TakenEvent(number, event, number, number, b"", lambda outcome: None))

    def work(self, which: int) -> None:
        """A customer's cell answers the oldest of its questions."""
        waiting = [customer for customer, asked in self.asked.items() if asked]
        if waiting:
            customer = waiting[which % len(waiting)]
            question, done = self.asked[customer].pop(0)
            done(self._answer_to(customer, question))

    def die(self, which: int) -> None:
        """A customer's cell forgets all that is not journaled, and is asked again what it has not answered."""
        waiting = [customer for customer, asked in self.asked.items() if asked]
        if waiting:
            customer = waiting[which % len(waiting)]
            self.moved.pop(customer, None)
            self.astray.pop(customer, None)
            instead = {each.ref: each for each in self._overtaking([question for question, _ in self.asked[customer]])}
            asked = self.asked[customer]
            self.asked[customer] = [each for each in asked if each[0].ref not in instead]
            for question, done in asked:
                if question.ref in instead:
                    done(instead[question.ref])

    def _answer_to(self, customer: str, asked: Input) -> Reply:
        """As `mailboxes.py`."""
        astray, given = self.astray.setdefault(customer, Astray()), Envelope(GATEWAY, asked)
        reply = astray.answer_to(given) or self._reply(customer, asked)
        if isinstance(reply, Unlinked):
            astray.turned_away(given, reply)
        return reply

    def _reply(self, customer: str, asked: Input) -> Reply:
        """What a cell says by its own state, and then the journal by its unique key (`identifying.py`)."""
        moved, to = self.moved.get(customer, (set(), None))
        if to is not None and asked.proposed and not moved.isdisjoint(asked.identities):
            moved.update(asked.identities)
            return Moved(asked.ref, *to)
        mine, own = list(asked.identities), asked.event.identities[0]
        conflicts = [identity for identity, _ in asked.conflicts]
        while True:
            ties = [identity for identity in mine if self.owner.get(identity) == customer]
            new = [identity for identity in mine if identity not in ties]
            unknown = [identity for identity in new if not asked.proposed and identity not in asked.claimed]
            if own in unknown or own in conflicts or (unknown and not ties):
                return Unlinked(asked.ref, own if own in (*unknown, *conflicts) else unknown[0], customer)
            if new and not ties and customer in self.known:
                return Unlinked(asked.ref, new[0], customer)
            mine = [identity for identity in mine if identity not in unknown]
            taken = next((identity for identity in mine if self.owner.get(identity, customer) != customer), None)
            if taken is None:
                break
            if asked.proposed:
                self.moved[customer] = (set(asked.identities), (taken, self.owner[taken]))
                return Moved(asked.ref, taken, self.owner[taken])
            mine.remove(taken)
            conflicts.append(taken)
        self.owner |= dict.fromkeys(mine, customer)
        self.known.add(customer)
        self.accepted.append(int(asked.event.id))
        self.decided_by[int(asked.event.id)] = customer
        return Answered(asked.ref, "committed", f"{customer}-1", 1, 1, mine == asked.event.identities)

    def look(self) -> None:
        """The store answers."""
        if self.looking:
            self.looking.pop(0).set_result(None)

    def give(self, identity: str, to: str) -> None:
        """Somebody unlinks an identity, and links it to another; or to nobody."""
        self.owner.pop(identity, None)
        if to:
            self.owner[identity] = to

    async def rest(self) -> None:
        """Everything that is under way comes to its end."""
        for _ in range(500):
            await _turn()
            if self.looking:
                self.look()
            elif any(self.asked.values()):
                self.work(0)
            else:
                return
        raise AssertionError("it goes on and on")


async def _turn() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def _steps(identities_max: int) -> st.SearchStrategy[list[tuple[str, object]]]:
    named = st.lists(st.sampled_from(IDENTITIES), min_size=1, max_size=identities_max, unique=True)
    given_to = st.tuples(st.sampled_from(IDENTITIES), st.sampled_from(("", *OTHERS)))
    step = st.one_of(
        st.tuples(st.just("take"), named),
        st.tuples(st.just("work"), st.integers(0, 2)),
        st.tuples(st.just("look"), st.none()),
        st.tuples(st.just("give"), given_to),
        st.tuples(st.just("die"), st.integers(0, 2)),
    )
    return st.lists(step, min_size=5, max_size=30)


def _taken_back(*then: tuple[str, object], first: Sequence[str], second: Sequence[str]) -> list[tuple[str, object]]:
    """Two events are with Ann's cell; the first one's own identity leaves her, it is turned away, and the identity is
    hers again, before anything of the second happens: that begins with `then`."""
    begin = [("give", (identity, "cuann")) for identity in IDENTITIES]
    known = [step for identity in IDENTITIES for step in (("take", [identity]), ("look", None), ("work", 0))]
    away = [("give", (first[0], "")), ("work", 0), ("give", (first[0], "cuann"))]
    return [*begin, *known, ("take", list(first)), ("take", list(second)), *away, *then]


def _sure_of_one_at_a_time() -> list[tuple[str, object]]:
    """Three events, each of which brings a conflict for which the store is asked once more. The last one shares the new
    identity with the first, which is under way with it then, and the others with the second, which is held."""
    named = [["crm:1", "web:1", "tel:+1"], ["web:1", "tel:+1"], ["crm:1", "web:1", "tel:+1"]]
    return [("take", ["web:1"]), ("give", ("tel:+1", "cuann")), *(("take", each) for each in named)]


async def _play(steps: Sequence[tuple[str, object]]) -> World:
    world = World()
    for name, what in steps:
        match name, what:
            case "take", list():
                world.take(what)
            case "work", int():
                world.work(what)
            case "die", int():
                world.die(what)
            case "give", (str(identity), str(to)):
                world.give(identity, to)
            case _:
                world.look()
        await _turn()
    await world.rest()
    return world


@settings(max_examples=200)
@given(_steps(identities_max=1))
@example(_taken_back(first=["crm:1"], second=["crm:1"]))
@example(_taken_back(("die", 0), first=["crm:1"], second=["crm:1"]))
def test_the_events_of_an_address_are_decided_as_they_came(steps: list[tuple[str, object]]) -> None:
    """Whoever has the address, loses it, and gets it back meanwhile."""
    world = asyncio.run(_play(steps))
    for identity in IDENTITIES:
        numbers = [number for number in world.accepted if world.taken[number].identities == [identity]]
        assert numbers == sorted(numbers)


@settings(max_examples=200)
@given(_steps(identities_max=3))
@example(_sure_of_one_at_a_time())
@example(_taken_back(first=["web:1", "tel:+1"], second=["tel:+1"]))
@example(_taken_back(("die", 0), first=["web:1", "tel:+1"], second=["tel:+1"]))
@example(_taken_back(("take", ["tel:+1"]), first=["web:1", "crm:1"], second=["tel:+1", "crm:1"]))
@example(_taken_back(("take", ["tel:+1"]), ("die", 0), first=["web:1", "crm:1"], second=["tel:+1", "crm:1"]))
def test_a_customers_events_that_share_an_identity_are_decided_as_they_came(steps: list[tuple[str, object]]) -> None:
    """Though some of them have others too, which lead elsewhere meanwhile: but for those that were on their way to two
    customers at a time."""
    world = asyncio.run(_play(steps))
    for then, first in itertools.combinations(world.accepted, 2):
        together = world.decided_by[first] == world.decided_by[then] and (first, then) not in world.apart
        if first < then and together:
            assert set(world.taken[first].identities).isdisjoint(world.taken[then].identities)


@settings(max_examples=200)
@given(_steps(identities_max=3))
def test_each_event_is_answered_once(steps: list[tuple[str, object]]) -> None:
    """Whatever its identities lead to meanwhile."""
    world = asyncio.run(_play(steps))
    assert sorted(world.answers, key=int) == [event.id for event in world.taken]


@settings(max_examples=100)
@given(_steps(identities_max=3))
def test_nothing_is_left_behind(steps: list[tuple[str, object]]) -> None:
    """When all is answered, whoever comes next is with whose it is, at once: nothing is held for what is over."""

    async def play() -> tuple[World, list[str]]:
        world = await _play(steps)
        for identity in IDENTITIES:
            world.take([identity])
            await world.rest()
        return world, [world.decided_by[len(world.taken) - 3 + n] for n in range(3)]

    world, customers = asyncio.run(play())
    assert customers == [world.owner[identity] for identity in IDENTITIES]
    asked = len(world.answers)
    for identity in IDENTITIES:
        world.take([identity])
        assert len(world.asked[world.owner[identity]]) == 1, "memory knows, and nobody is asked"
        world.work(0)
    assert len(world.answers) == asked + 3
