"""The outgoing queue: order, bounds in bytes, and what is dropped at them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.websockets.outgoing import MESSAGE_BYTES, Outgoing


async def everything(queue: Outgoing) -> list[bytes]:
    """All that waits, as the socket would take it."""
    frames: list[bytes] = []
    while len(queue):
        frames += await queue.take()
        queue.sent()
    return frames


async def test_frames_keep_their_order() -> None:
    """Kept and droppable ones wait in one line."""
    queue = Outgoing(100)
    queue.put(b"a")
    queue.offer(b"b", "x")
    queue.put(b"c")
    assert await everything(queue) == [b"a", b"b", b"c"]
    assert queue.size_bytes == 0


async def test_over_the_bound_droppable_frames_go_and_kept_ones_stay() -> None:
    """All topics that lost something are named."""
    queue = Outgoing(10)
    queue.offer(b"1234", "x")
    queue.put(b"answer to y")
    queue.offer(b"1234", "y")
    assert not queue.offer(b"1234", "z")
    assert queue.dropped == {"x", "y", "z"}
    assert await everything(queue) == [b"answer to y"]


async def test_a_frame_longer_than_the_bound_passes_alone() -> None:
    """Else its topic could never be brought up to date."""
    queue = Outgoing(4)
    assert queue.offer(b"123456", "x")
    assert not queue.offer(b"1", "x")


async def test_messages_are_bounded_too() -> None:
    """What is long goes alone."""
    queue = Outgoing(10 * MESSAGE_BYTES)
    for size in (MESSAGE_BYTES - 1, 1, 1, 2 * MESSAGE_BYTES, 1):
        queue.put(b"x" * size)
    assert [len(await queue.take()) for _ in range(4)] == [2, 1, 1, 1]


async def test_reading_pauses_while_answers_are_left_unread() -> None:
    """And goes on when they have been taken."""
    queue = Outgoing(2)
    queue.put(b"abc")
    waiting = asyncio.ensure_future(queue.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.take()
    queue.sent()
    await waiting


async def test_shutting_drops_and_lets_everyone_go() -> None:
    """What is kept is still sent."""
    queue = Outgoing(2)
    queue.offer(b"b", "x")
    queue.put(b"abc")
    queue.shut()
    await queue.room()
    assert await everything(queue) == [b"abc"]


@pytest.mark.parametrize("bound", [1, 10, 100])
@given(frames=st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.sampled_from("xyz"))))
def test_droppable_bytes_never_pass_the_bound_by_more_than_a_frame(
    bound: int, frames: list[tuple[bool, int, str]]
) -> None:
    """Whatever comes in whatever order."""
    queue = Outgoing(bound)
    kept = 0
    for is_kept, size, topic in frames:
        if is_kept:
            queue.put(b"x" * size)
            kept += size
        else:
            queue.offer(b"x" * size, topic)
        assert queue.size_bytes - kept <= max(bound, 30)


async def told(bytes_max: int = 1000) -> tuple[Outgoing, list[int]]:
    """A queue whose first message went by the task, and what it tells from then on: how much waits each time."""
    queue, heard = Outgoing(bytes_max), []
    queue.on_frames = lambda: heard.append(len(queue))
    queue.put(b"welcome")
    assert await queue.take() == [b"welcome"]
    queue.sent()
    return queue, heard


async def test_who_writes_at_once_is_told_once_a_turn() -> None:
    """Of the first frame; and again of the first after it has looked."""
    queue, heard = await told()
    queue.put(b"a")
    queue.offer(b"b", "c1")
    assert heard == [1]
    queue.heard()
    assert queue.gather() == [b"a", b"b"]
    queue.sent()
    queue.put(b"c")
    assert heard == [1, 1]


async def test_frames_that_are_dropped_before_anyone_looked_leave_nobody_untold() -> None:
    """The queue overflows in the very turn it was filled: what comes afterwards is announced all the same."""
    queue, heard = await told(bytes_max=4)
    assert queue.offer(b"1234", "c1")
    assert not queue.offer(b"5678", "c2")
    queue.heard()
    assert len(queue) == 0
    queue.put(b"resync")
    assert heard == [1, 1]


async def test_what_the_task_has_begun_it_ends() -> None:
    """While its message is on its way nobody writes past it, though the socket may take more again."""
    queue, heard = await told()
    queue.put(b"a")
    queue.heard()
    queue.leave_to_waiting()
    assert await queue.take() == [b"a"]
    queue.put(b"b")
    assert heard == [1]
    queue.sent()
    assert await queue.take() == [b"b"]
    queue.sent()
    queue.put(b"c")
    assert heard == [1, 1]


async def test_an_ending_connection_is_the_tasks() -> None:
    """Also what was announced before the end."""
    queue, heard = await told()
    queue.put(b"a")
    queue.shut()
    queue.put(b"error")
    assert await queue.take() == [b"a", b"error"]
    queue.sent()
    queue.put(b"late")
    assert heard == [1]
