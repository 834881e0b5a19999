"""Who waits for someone to take what they have to send: known in memory or not, and looked at a few at a time."""

import msgspec

from actors.cells.cell import Cell
from actors.rules.policies import packed
from actors.rules.policy import AccountRules, Policy
from actors.way_out.untaken import AT_ONCE_MAX, UNDER_WAY_MAX, Untaken
from protocol.commands import Reply
from protocol.links import Attempt, PoliciesAre, TakersAre
from tests.actors.player import POLICY
from tests.actors.world import World, world


def nothing(account: str) -> int:
    """No attempt is under way."""
    return 0


def test_a_crowd_is_looked_at_a_few_at_a_time() -> None:
    """Those that wait longest first, each once, and none for the sake of an account that has enough under way."""
    untaken = Untaken()
    crowd = [f"cu{n:05d}" for n in range(10_000)]
    for customer in crowd:
        untaken.waits(customer, ["chat"])
    untaken.waits("cu99999", ["sms"])
    assert untaken.to_look_at(nothing) == []
    untaken.takers_are("gateway:0", ["chat"])
    assert untaken.to_look_at(nothing) == crowd[:AT_ONCE_MAX]
    assert untaken.to_look_at(lambda account: UNDER_WAY_MAX - 2) == crowd[AT_ONCE_MAX : AT_ONCE_MAX + 2]
    assert untaken.to_look_at(lambda account: UNDER_WAY_MAX + 5) == []
    looked = AT_ONCE_MAX + 2
    while some := untaken.to_look_at(nothing):
        assert len(some) <= AT_ONCE_MAX
        looked += len(some)
    assert (looked, len(untaken)) == (10_000, 1)


def test_an_account_is_taken_while_any_gateway_has_a_client() -> None:
    """And what a customer waits for is forgotten with the customer."""
    untaken = Untaken()
    untaken.takers_are("gateway:0", ["chat"])
    untaken.takers_are("gateway:1", ["chat", "app"])
    untaken.takers_are("gateway:1", [])
    assert untaken.taken == {"chat"}
    untaken.waits("cu1", ["chat"])
    untaken.forget("cu1")
    untaken.takers_are("gateway:0", [])
    untaken.waits("cu2", ["chat"])
    assert (untaken.taken, untaken.to_look_at(nothing)) == (frozenset(), [])


async def reply(made: World, conversation: str, text: str) -> None:
    """An agent replies."""
    await made.intake.command(actor="agent:ann", id=text, conversation=conversation, command=Reply(text=text))


async def nobody_takes(made: World, number: int) -> Attempt:
    """The gateway has nobody for the attempt of that number."""
    await made.until(lambda: len(made.delivers) > number)
    made.report(made.delivers[number], "untaken")
    cell = made.cell_actors[0]
    assert cell is not None
    await made.until(lambda: cell.status()["attempts_under_way"] == 0)
    return made.delivers[number]


async def test_it_goes_out_from_memory_and_after_a_cells_death() -> None:
    """With the clock standing still: no timer has rung. A new cell finds whoever waits, and is told who is there."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await reply(made, answer.stream, "one")
        first = await nobody_takes(made, 0)
        cell = made.cell_actors[0]
        assert cell is not None
        cell.tick(made.now_ms)
        made.cells.tell_all(TakersAre(["chat"]))
        await made.until(lambda: ticked(made, cell) == 2)
        made.cells.tell_all(TakersAre([]))
        again = await nobody_takes(made, 1)
        assert (again.delivery, again.number, again.again) == (first.delivery, 2, False)
        await made.archived()
        made.kill_cell(0)
        made.cells.on_fresh = lambda index: made.cells.takers_are(["chat"], index)
        new = await made.start_cell(0)
        await made.until(lambda: ticked(made, new) == 3)
        assert (made.delivers[2].number, made.delivers[2].again) == (3, False)
        made.report(made.delivers[2], "sent")
        await made.until(lambda: new.status()["attempts_under_way"] == 0)
        assert len(made.delivers) == 3


async def test_it_goes_out_though_the_customer_left_memory() -> None:
    """Who waits is known without being kept in memory."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await reply(made, answer.stream, "one")
        await nobody_takes(made, 0)
        cell = made.cell_actors[0]
        assert cell is not None
        made.now_ms += 900_001
        cell.tick(made.now_ms)
        assert cell.status()["live_journeys"] == 0
        made.cells.tell_all(TakersAre(["chat"]))
        await made.until(lambda: ticked(made, cell) == 2)
        assert made.delivers[1].number == 2


async def test_it_waits_while_this_cell_knows_of_no_such_account() -> None:
    """A gateway hears of a new version before some cell does: that the account is taken is no word that it is there. It
    would be given up; it goes out as the account comes back."""
    with_app = msgspec.structs.replace(POLICY, accounts={"app": AccountRules(channel="app")})
    async with world(cells=1, policy=with_app) as made:
        answer = await made.intake.submit(made.event(account="app", identities=("web:1",)))
        await reply(made, answer.stream, "one")
        await nobody_takes(made, 0)
        cell = made.cell_actors[0]
        assert cell is not None
        learn(cell, 2, POLICY)
        made.cells.tell_all(TakersAre(["app"]))
        await made.until(lambda: cell._outlet.untaken.taken == {"app"})
        cell.tick(made.now_ms)
        cell.look(made.delivers[0].customer)
        await made.intake.submit(made.event(account="app", identities=("web:1",)))
        learn(cell, 3, with_app)
        await made.until(lambda: ticked(made, cell) == 2)
        assert made.delivers[1].number == 2


def ticked(made: World, cell: Cell) -> int:
    """The cell looks at what is due; returns how many deliveries there were by then."""
    cell.tick(made.now_ms)
    return len(made.delivers)


def learn(cell: Cell, version: int, policy: Policy) -> None:
    """The journal tells it of a version."""
    cell._learn(PoliciesAre([(version, packed(policy))]))


async def test_who_leaves_before_it_was_looked_at_is_due_at_once() -> None:
    """Where customers leave their cell, what somebody takes by now must not wait until its wait is over."""
    async with world(cells=1) as made:
        answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await reply(made, answer.stream, "one")
        waiting = await nobody_takes(made, 0)
        cell = made.cell_actors[0]
        assert cell is not None
        due: list[int | None] = []
        cell.on_left = lambda customer, due_ms: due.append(due_ms)
        cell._outlet.untaken.takers_are("gateway:0", ["chat"])
        cell.leave(waiting.customer)
        assert due == [made.now_ms]
