"""Outgoing: the encoded frames that wait for one client's socket. Bounded in bytes.

Two kinds of frames wait in one order. *Kept* ones answer what the client itself asked (results, acks, snapshots): a
client that leaves them unread is not read from either, so they bound themselves. *Droppable* ones come whether it asks
or not (updates, changed rows): past the bound all of them go, and the client is told once which topics it has to watch
again.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MESSAGE_BYTES = 64 * 1024
"""Frames are put together into one WebSocket message up to here: with more, a slow reader would wait long for the
first of them, and a client's own message limit could be met. A longer single frame goes alone."""
FRAMES_PER_MESSAGE = 1024
"""A quarter of what clients must take (`limits.frames` counts the other direction; both sides have the same bound)."""


class Outgoing:
    """One connection's queue. `bytes_max` bounds the droppable frames, and where kept ones pass it reading pauses."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._waiting: deque[tuple[bytes, str]] = deque()  # (frame, topic); a kept frame has no topic
        self._kept_bytes = 0
        self._droppable_bytes = 0
        self._sending_bytes = 0
        self._put = 0
        self._something = asyncio.Event()
        """For the task that waits in `take`."""
        self._announced = False
        self._taken_by_waiting = True
        """Whether frames that come are left to the task in `take`; else `on_frames` is called for them."""
        self._shut = False
        self.on_frames: Callable[[], None] | None = None
        """Called when frames have come, and not again before `heard`."""
        self._room = asyncio.Event()
        self._room.set()
        self.taken = 0
        """How many kept frames have been given to the socket."""
        self.dropped: set[str] = set()
        """Topics that lost frames since the client was last told."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """All bytes that wait, the message that the socket is taking included."""
        return self._kept_bytes + self._droppable_bytes + self._sending_bytes

    @property
    def droppable(self) -> list[int]:
        """The sizes of the droppable frames that wait."""
        return [len(frame) for frame, topic in self._waiting if topic]

    @property
    def crowded(self) -> bool:
        """Whether more should not be asked for on the client's behalf just now."""
        return self.size_bytes * 2 > self._bytes_max

    def put(self, frame: bytes) -> int:
        """Adds a kept frame. Returns its number: it was given to the socket once `taken` has reached that."""
        self._waiting.append((frame, ""))
        self._kept_bytes += len(frame)
        self._put += 1
        self._announce()
        if self._kept_bytes > self._bytes_max:
            self._room.clear()
        return self._put

    def offer(self, frame: bytes, topic: str) -> bool:
        """Adds a droppable frame of `topic`. False where that passed the bound: then every droppable frame is gone,
        this one too, and their topics are in `dropped`. A frame that finds none before it is taken, however long."""
        if self._droppable_bytes and self._droppable_bytes + len(frame) > self._bytes_max:
            self.dropped.add(topic)
            self._drop()
            return False
        self._waiting.append((frame, topic))
        self._droppable_bytes += len(frame)
        self._announce()
        return True

    def _announce(self) -> None:
        if self._taken_by_waiting or self.on_frames is None:
            self._something.set()
        elif not self._announced:
            self._announced = True
            self.on_frames()

    def heard(self) -> None:
        """Whoever `on_frames` called takes what waits now, and is called again for what comes from here on."""
        self._announced = False

    def leave_to_waiting(self) -> None:
        """Whoever `on_frames` called cannot write now: the task in `take` does, until nothing is left."""
        self._taken_by_waiting = True
        self._something.set()

    async def take(self) -> list[bytes]:
        """Waits for frames and returns those of the next message; none where `shut` was called, or all were dropped."""
        await self._something.wait()
        frames = self.gather()
        if not self._waiting:
            self._something.clear()
        return frames

    def gather(self) -> list[bytes]:
        """The frames of the next message; `sent` is to follow."""
        frames: list[bytes] = []
        size = 0
        while self._waiting and len(frames) < FRAMES_PER_MESSAGE:
            frame, topic = self._waiting[0]
            if frames and size + len(frame) > MESSAGE_BYTES:
                break
            self._waiting.popleft()
            frames.append(frame)
            size += len(frame)
            if topic:
                self._droppable_bytes -= len(frame)
            else:
                self._kept_bytes -= len(frame)
                self.taken += 1
        self._sending_bytes = size
        return frames

    def sent(self) -> None:
        """The socket has taken what `take` or `gather` returned."""
        self._sending_bytes = 0
        if not self._waiting and not self._shut:
            self._taken_by_waiting = self.on_frames is None
        if self._kept_bytes <= self._bytes_max:
            self._room.set()

    def shut(self) -> None:
        """The connection ends: droppable frames go, kept ones are still sent, and nobody waits any more."""
        self._drop()
        self.dropped.clear()
        self._room.set()
        self._shut = True
        self.leave_to_waiting()

    async def room(self) -> None:
        """Waits until the client has read enough of its answers that more may be asked."""
        await self._room.wait()

    def _drop(self) -> None:
        kept = [item for item in self._waiting if not item[1]]
        self.dropped.update(topic for _, topic in self._waiting if topic)
        self._waiting = deque(kept)
        self._droppable_bytes = 0
