"""Inboxes at a real gateway: listed whole, then changed, with nothing lost between."""

import asyncio
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.settings import Limits
from protocol.entities import ConversationSummary
from protocol.errors import Code
from protocol.links import ListChanged, Refused, WatchList
from tests.orchestrator.gateway.conftest import Running, Start, until
from tests.orchestrator.gateway.fakes import FakeCells


def row(conversation: str, head: int, *, owner: str = "") -> ConversationSummary:
    """A row of a list."""
    return ConversationSummary(conversation=conversation, customer="cu1", head=head, owner=owner)


def rows(frame: dict[str, Any]) -> dict[str, int]:
    """A frame's rows: conversation → head."""
    return {entry["conversation"]: entry["head"] for entry in frame.get("entries", [])}


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_a_queue_is_listed_whole_and_then_changes(running: Running, codec: str) -> None:
    """Rows that enter or change, and rows that leave."""
    running.archive.rows = [row("cu1-1", 3), row("cu1-2", 1)]
    async with running.agent(codec=codec) as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        whole = await agent.next("inbox")
        assert (whole["inbox"], whole["full"], rows(whole)) == ("queue:bills", True, {"cu1-1": 3, "cu1-2": 1})
        running.cells.on_list_changed(ListChanged(row("cu1-3", 1), ["queue:bills"], []))
        running.cells.on_list_changed(ListChanged(row("cu1-1", 4), [], ["queue:bills"]))
        entered, left = await agent.next("inbox"), await agent.next("inbox")
        assert rows(entered) == {"cu1-3": 1}
        assert left["removed"] == ["cu1-1"]
        assert not left.get("full", False)


async def test_mine_is_the_owners_list(running: Running) -> None:
    """Each agent has another one under the same name."""
    async with running.agent(inboxes=["mine"]) as agent:
        assert (await agent.next("inbox"))["inbox"] == "mine"
        assert running.archive.wanted == [{"list": "owner:agent", "limit": 1000}]
        running.cells.on_list_changed(ListChanged(row("cu1-1", 1, owner="bob"), ["owner:bob"], []))
        running.cells.on_list_changed(ListChanged(row("cu1-2", 1, owner="agent"), ["owner:agent"], []))
        change = await agent.next("inbox")
        assert (change["inbox"], rows(change)) == ("mine", {"cu1-2": 1})


async def test_a_customer_is_watched_as_a_list(running: Running) -> None:
    """A conversation that did not exist yet reaches the agent."""
    running.archive.journeys["cu1"] = {}
    async with running.agent() as agent:
        await agent.send({"op": "watch", "customer": "cu1"})
        assert (await agent.next("inbox"))["inbox"] == "customer:cu1"
        running.cells.on_list_changed(ListChanged(row("cu1-1", 1), ["customer:cu1", "queue:default"], []))
        assert rows(await agent.next("inbox")) == {"cu1-1": 1}


async def test_a_customer_whom_nobody_has_is_refused(running: Running) -> None:
    """Their ids are the server's: one that is not there is a mistake, and its list would stay empty for ever."""
    async with running.agent() as agent:
        await agent.send({"op": "watch", "customer": "cu8"})
        refused = await agent.next("error")
        assert (refused["code"], refused["ref"]) == (Code.NOT_FOUND, "inbox=customer:cu8")
        assert running.cells.lists == set()


async def test_a_customer_without_a_conversation_has_an_empty_list(running: Running) -> None:
    """An address was linked, and nothing came yet."""
    running.archive.journeys["cu1"] = {}
    async with running.agent() as agent:
        await agent.send({"op": "watch", "customer": "cu1"})
        whole = await agent.next("inbox")
        assert (whole["full"], rows(whole)) == (True, {})


async def test_a_customer_that_was_merged_into_another_has_an_empty_list(running: Running) -> None:
    """The archive has the other's rows for it, whose changes nobody would tell under this name."""
    running.archive.rows = [row("cu1-1", 3), row("cu2-1", 1)]
    async with running.agent() as agent:
        await agent.send({"op": "watch", "customer": "cu2"})
        whole = await agent.next("inbox")
        assert (whole["full"], rows(whole)) == (True, {})


async def test_the_list_waits_for_the_archive_and_takes_in_what_came_meanwhile(running: Running) -> None:
    """A change that is older than the archive's row is passed over."""
    running.cells.list_position = 10
    running.archive.at = 9
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await running.archive.asked.wait()
        running.cells.on_list_changed(ListChanged(row("cu1-1", 2), ["queue:bills"], []))
        running.cells.on_list_changed(ListChanged(row("cu1-2", 5), [], ["queue:bills"]))
        running.cells.on_list_changed(ListChanged(row("cu1-3", 1), ["queue:bills"], []))
        running.archive.rows = [row("cu1-1", 3), row("cu1-2", 4)]
        running.archive.at = 10
        assert rows(await agent.next("inbox")) == {"cu1-1": 3, "cu1-3": 1}


async def test_a_fresh_cell_means_the_list_is_sent_whole_again(running: Running) -> None:
    """What changed while it was gone shows there."""
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await agent.next("inbox")
        running.cells.lists.clear()
        running.archive.rows = [row("cu1-1", 3)]
        running.cells.on_fresh(0)
        whole = await agent.next("inbox")
        assert (whole["full"], rows(whole)) == (True, {"cu1-1": 3})
        assert running.cells.lists == {"queue:bills"}


async def test_whoever_watches_a_customer_sees_what_is_long_over_change_hands_with_it(running: Running) -> None:
    """Its cell has no more than the last closed ones in memory, and tells of these. Both customers' lists are sent
    whole again, once however many change hands, as of the commit; no others are."""
    after = [row("cu2-1", 3), row("cu2-9", 1)]
    running.archive.rows = [replace(each, customer="cu2") for each in after]
    async with running.agent() as agent:
        for watched in ({"customer": "cu1"}, {"customer": "cu2"}, {"inbox": "queue:bills"}):
            await agent.send({"op": "watch", **watched})
            await agent.next("inbox")
        read = len(running.archive.wanted)
        running.cells.held = True
        for conversation in ("cu2-8", "cu2-9"):
            change = ListChanged(row(conversation, 4), ["customer:cu1", "queue:bills"], ["customer:cu2"])
            running.cells.on_list_changed(change)
        running.cells.list_position = 10
        running.cells.release()
        await until(running.archive.asked.is_set)
        running.archive.rows, running.archive.at = after, 10
        whole: dict[str, list[str]] = {}
        while len(whole) < 2:
            frame = await agent.next("inbox")
            if frame.get("full", False):
                whole[frame["inbox"]] = list(rows(frame))
        assert running.archive.wanted[read:] == [{"customer": "cu1", "limit": 1000}, {"customer": "cu2", "limit": 1000}]
        assert whole == {"customer:cu1": ["cu2-1", "cu2-9"], "customer:cu2": []}


async def test_a_list_that_is_to_come_is_as_of_the_last_that_changed_hands(running: Running) -> None:
    """The cells have answered for it, and one told of another conversation since: the archive must have that, too."""
    running.archive.journeys["cu1"] = {}
    async with running.agent() as agent:
        await agent.send({"op": "watch", "customer": "cu1"})
        await agent.next("inbox")
        running.cells.list_position = 5
        for conversation in ("cu2-1", "cu2-2"):
            running.cells.on_list_changed(ListChanged(row(conversation, 4), ["customer:cu1"], ["customer:cu2"]))
        running.cells.held = True
        running.cells.on_list_changed(ListChanged(row("cu2-3", 4), ["customer:cu1"], ["customer:cu2"]))
        asked = [index for index, message, _ in running.cells.asked if isinstance(message, WatchList)]
        assert asked == [0, 1]
        running.archive.at = 5
        running.cells.release()


async def test_lists_that_nobody_asked_for_do_not_fill_memory(start: Start) -> None:
    """An agent that does not read while cells come and go leaves the list past its bound, is told, and lists anew."""
    bound = 32 * 1024
    running = await start(limits=Limits(agent_queue_bytes=bound))
    running.archive.rows = [row(f"cu1-{number}", 1) for number in range(1, 101)]

    def asked(times: int) -> bool:
        return len(running.archive.wanted) == times

    async with running.agent() as slow:
        await slow.send({"op": "watch", "inbox": "queue:bills"})
        await slow.next("inbox")
        slow.socket.transport.pause_reading()
        for read in range(2, 5000):
            running.cells.on_fresh(0)
            await until(partial(asked, read))
            # One message of 64 KiB may be with the socket, besides what waits.
            assert running.metric("throughline_queue_bytes") <= bound + 64 * 1024 + 20_000
            if running.metric("throughline_queue_overflows_total"):
                break
        assert running.metric("throughline_queue_overflows_total") == 1
        assert running.cells.lists == set()
        slow.socket.transport.resume_reading()
        frame = await slow.frame()
        while frame["op"] == "inbox":
            assert (frame["full"], len(rows(frame))) == (True, 100)
            frame = await slow.frame()
        assert frame == {"op": "resync", "inboxes": ["queue:bills"]}
        running.archive.rows = [row("cu1-1", 2)]
        await slow.send({"op": "watch", "inbox": "queue:bills"})
        assert rows(await slow.next("inbox")) == {"cu1-1": 2}
    assert running.cells.bugs == [], "whoever watched it last left while it was given"


async def test_the_list_that_is_sent_again_has_what_the_other_cells_told(running: Running) -> None:
    """All cells are asked how far they are: the archive may lack a row that another cell has told of already."""
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await agent.next("inbox")
        running.cells.held = True
        running.cells.on_fresh(0)
        asked = [index for index, message, _ in running.cells.asked if isinstance(message, WatchList)]
        assert asked == [0, 1]
        running.cells.release()


class Held:
    """Readings of an archive's lists that wait to be let go, in the order in which they were begun."""

    def __init__(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.readings: list[asyncio.Future[list[ConversationSummary]]] = []

        async def conversations(**_: object) -> list[ConversationSummary]:
            self.readings.append(asyncio.get_running_loop().create_future())
            return await self.readings[-1]

        monkeypatch.setattr(running.archive, "conversations", conversations)


async def test_however_often_cells_come_back_one_list_is_read_and_one_is_to_come(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred seats that begin at once would have the archive read each list a hundred times."""
    held = Held(running, monkeypatch)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        held.readings[0].set_result([row("cu1-1", 1)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 1}
        for number in range(20):
            running.cells.on_fresh(number % 2)
            await until(lambda: len(held.readings) == 2)
        running.cells.on_list_changed(ListChanged(row("cu1-2", 5), ["queue:bills"], []))
        held.readings[1].set_result([row("cu1-1", 2)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 2, "cu1-2": 5}
        await until(lambda: len(held.readings) == 3)
        running.cells.on_list_changed(ListChanged(row("cu1-3", 6), ["queue:bills"], []))
        assert rows(await agent.next("inbox")) == {"cu1-3": 6}
        held.readings[2].set_result([row("cu1-1", 3)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 3, "cu1-2": 5, "cu1-3": 6}
        running.cells.on_list_changed(ListChanged(row("cu1-1", 7), ["queue:bills"], []))
        assert rows(await agent.next("inbox")) == {"cu1-1": 7}
        assert len(held.readings) == 3


async def test_a_list_that_lacks_what_a_cell_forgot_does_not_come_behind_the_whole_one(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked before the cell was gone gets their answer, and then what changed meanwhile; also where it was another
    who asked after the list that is to come was begun."""
    held = Held(running, monkeypatch)
    async with running.agent() as one, running.agent() as two:
        await one.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        running.cells.on_fresh(0)
        await two.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 2)
        running.cells.on_fresh(1)
        held.readings[0].set_result([row("cu1-1", 1)])
        assert rows(await one.next("inbox")) == {"cu1-1": 1}
        assert len(held.readings) == 2
        held.readings[1].set_result([row("cu1-1", 2)])
        assert rows(await two.next("inbox")) == {"cu1-1": 2}
        await until(lambda: len(held.readings) == 3)
        held.readings[2].set_result([row("cu1-1", 3)])
        for agent in (one, two):
            assert rows(await agent.next("inbox")) == {"cu1-1": 3}


async def test_a_list_that_is_to_come_waits_for_the_word_of_the_cell_that_came_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far the others are it has heard; and one that has not answered yet will be asked anew by itself."""
    held = Held(running, monkeypatch)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        running.cells.on_fresh(0)
        running.cells.held = True
        running.cells.on_fresh(1)
        running.cells.on_fresh(1)
        assert [index for index, message, _ in running.cells.asked if isinstance(message, WatchList)] == [1]
        held.readings[0].set_result([])
        assert rows(await agent.next("inbox")) == {}
        assert len(held.readings) == 1
        running.cells.list_position = running.archive.at = 7
        running.cells.release()
        await until(lambda: len(held.readings) == 2)
        held.readings[1].set_result([row("cu1-1", 3)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 3}


async def test_the_last_to_leave_ends_the_subscription(running: Running) -> None:
    """Also one who leaves while the list is being read."""
    running.cells.list_position = 1
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"}, {"op": "unwatch", "inbox": "queue:bills"})
        await until(lambda: bool(running.cells.told))
    assert running.cells.lists == set()


async def test_a_list_that_cannot_be_read_is_an_error(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The archive's failure ends the watch, not the connection."""
    running.archive.fail = OSError("disk")
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills", "ref": "inbox=queue:bills"})
        error = await agent.next("error")
        assert (error["code"], error["ref"]) == (Code.INTERNAL, "inbox=queue:bills")
        running.archive.fail = None
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        assert (await agent.next("inbox"))["full"]
    assert "disk" not in capsys.readouterr().out


async def test_a_list_that_a_cell_refuses_is_an_error(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cell's own reason, and the watch's own ref."""
    monkeypatch.setattr(running.cells, "reply", lambda message: Refused(message.ref, Code.OVER_LIMIT, "too many lists"))
    async with running.agent() as agent:
        for ref, named in (("r", "r"), ("", "inbox=queue:bills")):
            await agent.send({"op": "watch", "inbox": "queue:bills", "ref": ref})
            error = await agent.next("error")
            assert (error["code"], error["ref"]) == (Code.OVER_LIMIT, named)


async def test_a_bug_while_a_list_is_given_breaks_the_gateway(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is half given, and who asked for it would wait: the next life begins anew."""
    bug = ValueError("a bug")

    def broken(*given: object) -> None:
        raise bug

    monkeypatch.setattr("orchestrator.gateway.websockets.listings.Listing.with_changes", broken)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: running.cells.bugs == [bug])


async def test_who_watches_again_gets_the_whole_list_first(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that came ahead of it would be put into a list that the agent has given up."""
    held = Held(running, monkeypatch)

    def read(times: int) -> bool:
        return len(held.readings) == times

    async with running.agent() as agent:
        for readings in (1, 2):
            await agent.send({"op": "watch", "inbox": "queue:bills"})
            await until(partial(read, readings))
            running.cells.on_list_changed(ListChanged(row("cu1-1", readings), ["queue:bills"], []))
            held.readings[-1].set_result([])
            whole = await agent.next("inbox")
            assert (whole.get("full"), rows(whole)) == (True, {"cu1-1": readings})


async def test_who_leaves_a_list_that_was_given_ends_the_subscription(running: Running) -> None:
    """Where nobody else watches it."""
    async with running.agent() as agent, running.agent("bob") as bob:
        for each in (agent, bob):
            await each.send({"op": "watch", "inbox": "queue:bills"})
            await each.next("inbox")
        await agent.send({"op": "unwatch", "inbox": "queue:bills"}, {"op": "watch", "inbox": "queue:other"})
        await agent.next("inbox")
        assert running.cells.lists == {"queue:bills", "queue:other"}
        await bob.send({"op": "unwatch", "inbox": "queue:bills"})
        await until(lambda: running.cells.lists == {"queue:other"})


async def test_a_list_waits_for_no_cell_where_there_is_none(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """In dedicated placement, as nobody sits anywhere: what comes is asked as it comes."""
    monkeypatch.setattr(type(running.cells), "indexes", [])
    running.archive.rows = [row("cu1-1", 3)]
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        assert rows(await agent.next("inbox")) == {"cu1-1": 3}


async def test_where_cells_come_and_go_the_list_waits_for_all_that_is_committed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that has told of a change may be gone, and say no more at which position. And a row that comes late, by a
    customer's former cell, is older than what was told since."""
    monkeypatch.setattr(FakeCells, "interchangeable", True)
    running = await start()
    running.identities.at, running.archive.at = 10, 9
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await running.archive.asked.wait()
        assert running.archive.wanted == []
        running.archive.rows = [row("cu1-1", 3)]
        running.archive.at = 10
        assert rows(await agent.next("inbox")) == {"cu1-1": 3}
        for head in (5, 4, 6):
            running.cells.on_list_changed(ListChanged(row("cu1-1", head), ["queue:bills"], []))
        assert [rows(await agent.next("inbox")) for _ in range(2)] == [{"cu1-1": 5}, {"cu1-1": 6}]


async def test_a_cell_that_takes_a_list_after_it_had_refused_it_counts(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cell answered last is what it has to say."""
    held = Held(running, monkeypatch)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        with monkeypatch.context() as refusing:
            refused = lambda message: Refused(message.ref, Code.OVER_LIMIT, "too many lists")  # noqa: E731
            refusing.setattr(running.cells, "reply", refused)
            running.cells.on_fresh(0)
        running.cells.on_fresh(0)
        running.cells.on_fresh(1)
        held.readings[0].set_result([row("cu1-1", 1)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 1}
        await until(lambda: len(held.readings) == 2)
        held.readings[1].set_result([row("cu1-1", 2)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 2}


async def test_of_too_many_changes_the_oldest_are_forgotten(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list has them as the archive had them, until they change again."""
    monkeypatch.setattr("orchestrator.gateway.websockets.listings.CHANGES_MAX", 2)
    held = Held(running, monkeypatch)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        for number in (1, 2, 3):
            running.cells.on_list_changed(ListChanged(row(f"cu1-{number}", 9), ["queue:bills"], []))
        held.readings[0].set_result([row("cu1-1", 1)])
        assert rows(await agent.next("inbox")) == {"cu1-1": 1, "cu1-2": 9, "cu1-3": 9}


async def test_a_list_that_was_asked_for_is_given_whatever_else_waits(start: Start) -> None:
    """It may be longer than what may wait for one who reads slowly: that bounds what nobody asked for."""
    running = await start(limits=Limits(agent_queue_bytes=4096))
    running.archive.rows = [row(f"cu1-{number}", 1) for number in range(200)]
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        assert len(rows(await agent.next("inbox"))) == 200


async def test_closing_ends_the_readings(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive's connections close next."""
    held = Held(running, monkeypatch)
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "queue:bills"})
        await until(lambda: len(held.readings) == 1)
        await running.gateway._inboxes.close()
        assert held.readings[0].cancelled()
