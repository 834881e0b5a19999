"""Agents at a real gateway: watching, catching up, falling behind, commanding."""

import asyncio
from typing import Any

import msgpack
import pytest

from orchestrator.settings import Limits
from protocol.commands import AddNote
from protocol.errors import Code, Refusal
from protocol.links import HeadsAre
from tests.orchestrator.gateway.clients import Client
from tests.orchestrator.gateway.conftest import Running, Start, until
from tests.orchestrator.gateway.fakes import note

ONE = "cu1-1"
TWO = "cu2-1"


async def watch(client: Client, conversation: str = ONE, **fields: Any) -> dict[str, Any]:
    """Watches from the beginning; returns the snapshot."""
    await client.send({"op": "watch", "conversation": conversation, **fields})
    return await client.next("snapshot")


def numbers(frame: dict[str, Any]) -> list[int]:
    """The numbers of a frame's events."""
    return [event["at_ms"] for event in frame.get("events", frame.get("recent", []))]


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_a_watcher_gets_a_snapshot_and_then_every_update(running: Running, codec: str) -> None:
    """Both subprotocols say the same."""
    running.cells.write(ONE, note(1), note(2), note(3))
    async with running.agent(codec=codec) as agent:
        snapshot = await watch(agent)
        assert (snapshot["seq"], snapshot["generation"], numbers(snapshot)) == (3, "g1", [2, 3])
        assert snapshot["view"]["conversation"] == ONE
        running.cells.write(ONE, note(4), note(5))
        update = await agent.next("update")
        assert (update["seq"], numbers(update)) == (4, [4, 5])


async def test_a_reconnect_resumes_after_its_position(running: Running) -> None:
    """`hello` with positions is answered by what is after them."""
    running.cells.write(ONE, note(1), note(2), note(3))
    async with running.agent(generation="g1", positions=[{"conversation": ONE, "seq": 1}]) as agent:
        update = await agent.next("update")
        assert (update["seq"], numbers(update)) == (2, [2, 3])


async def test_a_watcher_at_the_head_is_told_that_it_has_joined(running: Running) -> None:
    """An update without events answers it."""
    running.cells.write(ONE, note(1))
    async with running.agent(generation="g1", positions=[{"conversation": ONE, "seq": 1}]) as agent:
        update = await agent.next("update")
        assert (update["seq"], update["events"]) == (2, [])


async def test_positions_of_another_generation_are_void(running: Running) -> None:
    """They get a snapshot."""
    running.cells.write(ONE, note(1))
    async with running.agent(generation="g0", positions=[{"conversation": ONE, "seq": 1}]) as agent:
        assert (await agent.next("snapshot"))["seq"] == 1


async def test_a_second_watcher_joins_without_missing_or_doubling(running: Running) -> None:
    """Its answer comes from the cell; what follows goes to both, encoded once per codec."""
    running.cells.write(ONE, note(1))
    async with running.agent() as ann, running.agent("bob", codec="json") as bob:
        await watch(ann)
        running.cells.held = True
        await bob.send({"op": "watch", "conversation": ONE})
        await until(lambda: len(running.cells.asked) == 1)
        running.cells.write(ONE, note(2))
        running.cells.release()
        running.cells.write(ONE, note(3))
        assert numbers(await bob.next("snapshot")) == [1, 2]
        assert numbers(await bob.next("update")) == [3]
        assert [numbers(await ann.next("update")) for _ in range(2)] == [[2], [3]]


async def test_the_last_to_leave_ends_the_subscription(running: Running) -> None:
    """One subscription per conversation stands between the gateway and the cell."""
    running.cells.write(ONE, note(1))
    async with running.agent() as ann:
        async with running.agent("bob") as bob:
            await watch(ann)
            await watch(bob)
            await ann.send({"op": "unwatch", "conversation": ONE})
            await ann.send({"op": "watch", "conversation": "none-1", "ref": "r"})
            assert (await ann.next("error"))["ref"] == "r"
            assert ONE in running.cells.subscribed
        await until(lambda: ONE not in running.cells.subscribed)


async def test_a_gap_is_closed_by_watching_again(running: Running) -> None:
    """An update was lost between cell and gateway: the watcher sees none of it."""
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        running.cells.write(ONE, note(2), lose=True)
        running.cells.write(ONE, note(3))
        update = await agent.next("update")
        assert (update["seq"], numbers(update)) == (2, [2, 3])
        assert running.metric("throughline_update_gaps_total") == 1


async def test_a_loss_at_the_end_shows_in_the_cells_heads(running: Running) -> None:
    """Nothing came after what was lost, but the cell's heads tell."""
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        running.cells.write(ONE, note(2), lose=True)
        running.cells.on_heads(HeadsAre({ONE: 2}))
        assert numbers(await agent.next("update")) == [2]


async def test_a_gap_that_the_cell_cannot_close_gives_a_snapshot(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell keeps recent events only; older watchers begin anew."""
    monkeypatch.setattr("orchestrator.gateway.websockets.backfill.WITHIN_S", 0.05)
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        running.cells.write(ONE, note(2), note(3), note(4), lose=True)
        running.cells.recent_from[ONE] = 3
        running.cells.write(ONE, note(5))
        snapshot = await agent.next("snapshot")
        assert (snapshot["seq"], numbers(snapshot)) == (5, [4, 5])


async def test_a_fresh_cell_is_asked_again_from_the_positions(running: Running) -> None:
    """What was committed while it was gone reaches the watcher once."""
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        running.cells.subscribed.clear()
        running.cells.write(ONE, note(2))
        running.cells.on_fresh(running.cells.cell_of("other"))
        assert len(running.cells.watches) == (
            2 if running.cells.cell_of("other") == running.cells.cell_of("cu1") else 1
        )
        running.cells.on_fresh(running.cells.cell_of("cu1"))
        assert numbers(await agent.next("update")) == [2]
        running.cells.write(ONE, note(3))
        assert numbers(await agent.next("update")) == [3]


async def test_a_new_generation_makes_agents_begin_anew(running: Running) -> None:
    """Positions under the old one are void, so the connections are closed to come again."""
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        running.cells.generation = "g2"
        running.cells.on_fresh(running.cells.cell_of("cu1"))
        assert await agent.close_code() == Code.DRAINING


async def test_a_slow_agent_gets_resync_and_nobody_waits_for_it(start: Start) -> None:
    """Its queue stays bounded in bytes, others get every update, and it goes on where it was."""
    running = await start(limits=Limits(agent_queue_bytes=64 * 1024))
    for conversation in (ONE, TWO):
        running.cells.write(conversation, note(1))
    async with running.agent() as slow, running.agent("bob") as quick:
        await watch(slow)
        await watch(slow, TWO)
        await watch(quick)
        slow.socket.transport.pause_reading()
        written = 1
        while not running.metric("throughline_queue_overflows_total"):
            written += 1
            running.cells.write(ONE, note(written, size=8192))
            assert numbers(await quick.next("update")) == [written]
            # One message of 64 KiB may be with the socket, besides what waits.
            assert running.metric("throughline_queue_bytes") <= 2 * 64 * 1024 + 20_000
        status = await running.gateway.status()
        assert (status["queue_bytes"], status["queue_overflows"]) == (running.metric("throughline_queue_bytes"), 1)
        slow.socket.transport.resume_reading()
        seen = 1
        frame = await slow.frame()
        while frame["op"] == "update":
            seen += 1
            assert numbers(frame) == [seen]
            frame = await slow.frame()
        assert frame == {"op": "resync", "conversations": [ONE]}
        assert seen < written
        await slow.send({"op": "watch", "conversation": ONE, "generation": "g1", "seq": seen})
        assert numbers(await slow.next("update")) == list(range(seen + 1, written + 1))
        running.cells.write(TWO, note(2))
        assert (await slow.next("update"))["conversation"] == TWO
        assert running.metric("throughline_resyncs_total") == 1


async def test_many_positions_are_resumed_a_few_at_a_time(running: Running) -> None:
    """A reconnect with a thousand positions asks no cell for a thousand snapshots at once."""
    conversations = [f"cu{number}-1" for number in range(1000)]
    for conversation in conversations:
        running.cells.write(conversation, note(1))
    running.cells.held = True
    positions = [{"conversation": conversation, "seq": 0} for conversation in conversations]
    async with running.agent(generation="g1", positions=positions) as agent:
        await until(lambda: bool(running.cells.asked))
        assert len(running.cells.asked) == 16
        running.cells.release()
        assert [(await agent.next("update"))["conversation"] for _ in conversations] == conversations


async def test_heartbeats_carry_heads_and_a_dead_client_is_dropped(start: Start) -> None:
    """Heads are of what is watched; one who answers none of them is closed."""
    running = await start(heartbeat_s=0.02)
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        assert (await agent.frame()) == {"op": "heads", "heads": {ONE: 1}}
        assert await agent.close_code() == Code.HEARTBEAT_MISSED


async def test_a_revoked_token_ends_its_connections(start: Start) -> None:
    """At the next heartbeat."""
    running = await start(heartbeat_s=0.02)
    text, token = running.tokens.create(["agent"], "eve")
    async with running.socket("/v1/agent") as agent:
        await agent.hello(text)
        running.tokens.revoke(token.id)
        assert await agent.close_code() == Code.UNAUTHENTICATED


async def test_a_command_yields_its_result(running: Running) -> None:
    """The actor is who the token says, whatever the client writes."""
    async with running.agent() as agent:
        await agent.send({"op": "command", "id": "c1", "conversation": ONE, "command": {"do": "note", "text": "hello"}})
        result = await agent.next("result")
        assert result == {"op": "result", "id": "c1", "conversation": ONE, "seq": 7}
        assert running.intake.commands == [("agent:agent", "c1", AddNote(text="hello"), ONE, "")]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"command": {"do": "fly"}, "conversation": ONE}, Code.UNKNOWN_TYPE),
        ({"command": {"do": "note", "text": 1}, "conversation": ONE}, Code.INVALID),
        ({"command": {"do": "note", "text": "x"}}, Code.INVALID),
        ({"command": {"do": "note", "text": "x"}, "conversation": ONE, "customer": "cu1"}, Code.INVALID),
        ({"command": {"do": "mark_replayed", "quarantine": "q"}, "customer": "cu1"}, Code.INVALID),
    ],
)
async def test_a_bad_command_is_refused_under_its_id(running: Running, frame: dict[str, Any], code: Code) -> None:
    """The connection goes on."""
    async with running.agent() as agent:
        await agent.send({"op": "command", "id": "c1", **frame})
        result = await agent.next("result")
        assert (result["id"], result["code"]) == ("c1", code)
        await agent.send({"op": "presence", "state": "online"})
        running.cells.write(ONE, note(1))
        await watch(agent)
    assert running.intake.commands == []


@pytest.mark.parametrize("id", ["", "x" * 513])
async def test_a_command_has_an_id_of_its_own(running: Running, id: str) -> None:
    """What all that have none would share, so that the second is taken for the first once more; nor one without end."""
    async with running.agent() as agent:
        await agent.send({"op": "command", "id": id, "command": {"do": "note", "text": "x"}, "conversation": ONE})
        refused = await agent.next("result" if id else "error")
        assert (refused.get("id", ""), refused["code"]) == (id, Code.INVALID)
        assert refused["message"] == "command: id must have 1 to 512 characters"
    assert running.intake.commands == []


async def test_a_refusal_and_a_bug_are_both_results(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """A bug gets a reference and no traceback; the log has the reference and none of the words."""
    async with running.agent() as agent:
        command = {"op": "command", "conversation": ONE, "command": {"do": "take"}}
        running.intake.refuse_commands = Refusal(Code.NOT_ALLOWED_NOW, "someone else has it")
        await agent.send({"id": "c1", **command})
        refused = await agent.next("result")
        assert (refused["code"], refused["message"]) == (Code.NOT_ALLOWED_NOW, "someone else has it")
        running.intake.refuse_commands = ValueError("the customer's words")
        await agent.send({"id": "c2", **command})
        failed = await agent.next("result")
        assert (failed["code"], failed["retryable"]) == (Code.INTERNAL, True)
    log = capsys.readouterr().out
    assert "customer's words" not in log
    assert failed["message"].split()[-1] in log


@pytest.mark.parametrize(
    "frame",
    [
        {"op": "watch", "ref": "r"},
        {"op": "watch", "ref": "r", "inbox": "all"},
        {"op": "watch", "ref": "r", "inbox": "mine", "customer": "cu1"},
        {"op": "watch", "ref": "r", "conversation": "none-1"},
    ],
)
async def test_a_watch_that_cannot_be_is_an_error(running: Running, frame: dict[str, Any]) -> None:
    """It carries the watch's own ref."""
    async with running.agent() as agent:
        await agent.send(frame)
        error = await agent.next("error")
        assert error["ref"] == "r"
        assert Code(error["code"]) in (Code.INVALID, Code.NOT_FOUND)


async def test_watches_are_limited(start: Start) -> None:
    """The limit is the one that `welcome` said."""
    running = await start(limits=Limits(watches_max=1))
    running.cells.write(ONE, note(1))
    running.cells.write(TWO, note(1))
    async with running.agent() as agent:
        await watch(agent)
        await agent.send({"op": "watch", "conversation": TWO, "ref": "r"})
        error = await agent.next("error")
        assert (error["code"], error["ref"]) == (Code.OVER_LIMIT, "r")
        await watch(agent)


@pytest.mark.parametrize(
    ("frame", "ref"),
    [
        ({"conversation": TWO}, f"conversation={TWO}"),
        ({"inbox": "queue:bills"}, "inbox=queue:bills"),
        ({"customer": "cu9"}, "inbox=customer:cu9"),
    ],
)
async def test_a_watch_over_the_limit_is_named_where_it_has_no_ref(
    start: Start, frame: dict[str, str], ref: str
) -> None:
    """Else a program would not know which of its watches it has to do without."""
    running = await start(limits=Limits(watches_max=1))
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        await agent.send({"op": "watch", **frame})
        error = await agent.next("error")
        assert (error["code"], error["ref"]) == (Code.OVER_LIMIT, ref)


@pytest.mark.parametrize(
    "frame", [{"inbox": "queue:" + "x" * 512}, {"customer": "x" * 513}, {"inbox": "mine", "ref": "x" * 513}]
)
async def test_what_is_watched_has_a_short_name(running: Running, frame: dict[str, str]) -> None:
    """It is kept, by the gateway and each cell: two hundred names of a megabyte were a gigabyte of memory."""
    async with running.agent() as agent:
        await agent.send({"op": "watch", **frame})
        error = await agent.next("error")
        assert (error["code"], len(error["ref"])) == (Code.OVER_LIMIT, 512)
        await agent.send({"op": "watch", "inbox": "queue:" + "x" * 506, "ref": "x" * 512})
        assert (await agent.next("inbox"))["inbox"] == "queue:" + "x" * 506


async def test_what_may_be_watched_may_be_resumed(running: Running) -> None:
    """Also where its name is as long as one may be."""
    inbox = "queue:" + "x" * 506
    async with running.agent(inboxes=[inbox]) as agent:
        assert (await agent.next("inbox"))["inbox"] == inbox


async def test_what_is_no_inbox_is_told_what_is_one(running: Running) -> None:
    """All three kinds."""
    async with running.agent() as agent:
        await agent.send({"op": "watch", "inbox": "bills"})
        error = await agent.next("error")
        assert error["message"] == "an inbox is `mine`, `queue:<name>` or `customer:<id>`"


async def test_many_frames_of_one_turn_leave_as_one_message(running: Running) -> None:
    """A burst costs one write."""
    running.cells.write(ONE, note(1))
    async with running.agent() as agent:
        await watch(agent)
        for number in range(2, 102):
            running.cells.write(ONE, note(number))
        message = msgpack.unpackb(await asyncio.wait_for(agent.socket.recv(), 10))
        assert [numbers(frame) for frame in message] == [[number] for number in range(2, 102)]
