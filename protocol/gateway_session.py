"""The gateway client's side of a connection, without I/O: events out and deliveries in, over any number of connections.

    - An event is kept until its `ack`, or a `nack` that says it never will be taken; every new connection sends what is
      kept again, in order. The server gives a repeat no second effect.
    - Why one lies in quarantine is said by an `error` ahead of its `ack`. Both name the id alone, so it stays taken
      until the `ack`: what else came under it before would be settled by that.
    - A window of credits bounds what is unanswered: `welcome` opens it, an answer gives its credit back, `flow` widens
      it. What does not fit waits here.
    - A delivery is handed out once (see `protocol.handed_out`).

The states are those of `protocol.agent_session`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import assert_never

from msgspec import Struct, field

from protocol.agent_session import State
from protocol.errors import Code, Refusal
from protocol.frames import (
    Accounts,
    Ack,
    Deliver,
    Delivered,
    Drain,
    Error,
    EventFrame,
    Flow,
    GatewayFrame,
    Hello,
    Nack,
    Ping,
    Pong,
    ToGateway,
    Welcome,
)
from protocol.handed_out import HandedOut
from protocol.outcomes import checked

EVENTS_MAX = 10_000
"""Events kept unanswered, sent and waiting together; over it an event is refused as `OVERLOADED`."""

Encoded = EventFrame | bytes
"""An `event` frame, or its bytes: a load generator encodes before it measures."""


class EventsSettled(Struct, frozen=True, gc=False):
    """Events are settled: committed and synced (`status`: `committed`, `repeat` or `quarantined`)."""

    ids: list[str]
    status: str


class EventRefused(Struct, frozen=True, gc=False):
    """An event was refused and is not kept any more."""

    id: str
    code: int
    message: str


Happening = Welcome | Accounts | EventsSettled | EventRefused | Deliver | Error | Drain
"""What an application hears of."""


class Turn(Struct, frozen=True, gc=False):
    """What one step brings about."""

    send: Sequence[GatewayFrame | bytes] = ()
    happened: list[Happening] = field(default_factory=list)
    held: bool = False
    """An event was refused for now: call `release` after a back-off."""


class GatewaySession:
    """One gateway client's events and deliveries."""

    def __init__(self, *, token: str = "", client: str = "", accounts: Sequence[str] = ()) -> None:
        """`accounts` are those whose deliveries this client takes."""
        self.state = State.NEW
        self.welcome: Welcome | None = None
        """Of the newest connection."""
        self.untaken: Mapping[str, str] = {}
        """Of the accounts: those whose deliveries this connection does not take, and why not."""
        self.drain: Drain | None = None
        """The server wants this connection to end once it is `idle`; until then no further event is sent."""
        self._hello = Hello(token=token, client=client, accounts=list(accounts))
        self._kept: dict[str, Encoded] = {}
        """Unanswered events by id, in the order in which they came."""
        self._waiting: deque[str] = deque()
        """Ids that no credit was left for on this connection."""
        self._sent: set[str] = set()
        self._held: dict[str, None] = {}
        """Ids that the server could not take just now, in order."""
        self._refused: dict[str, Error] = {}
        """By id, of events whose `ack` is to come on this connection: why they are in quarantine."""
        self._window = 0
        self._handed_out = HandedOut()

    @property
    def idle(self) -> bool:
        """Whether nothing is owed on this connection: what was sent is answered, and so are deliveries."""
        return not self._sent and self._handed_out.idle

    @property
    def unanswered(self) -> int:
        """Events that are kept."""
        return len(self._kept)

    def connect(self) -> Sequence[GatewayFrame | bytes]:
        """Begins a connection: returns its first frame."""
        self.state = State.HELLO_SENT
        self.drain = None
        return [self._hello]

    def disconnect(self) -> None:
        """The connection is gone; what is kept waits for the next."""
        self.state = State.CLOSED
        self._window = 0
        self._sent.clear()
        self._held.clear()
        self._refused.clear()
        self._waiting.clear()

    def event(self, id: str, event: Encoded) -> Sequence[GatewayFrame | bytes]:
        """Takes an event for sending; returns what may leave now.

        Raises `Refusal`: `OVERLOADED` at `EVENTS_MAX`, `INVALID` where an event with this id is unanswered: an answer
        names the id alone.
        """
        if id in self._kept:
            raise Refusal(Code.INVALID, "an event with this id is unanswered: wait for it", ref=id, field="id")
        if len(self._kept) >= EVENTS_MAX:
            raise Refusal(Code.OVERLOADED, f"{EVENTS_MAX} events wait for their answers", ref=id)
        self._kept[id] = event
        if self.state is not State.OPEN:
            return ()
        if len(self._sent) < self._window and not self._waiting and not self._held and not self.drain:
            self._sent.add(id)
            return (event,)
        self._waiting.append(id)
        return ()

    def release(self) -> Sequence[GatewayFrame | bytes]:
        """Sends again what the server could not take before, ahead of what waits."""
        self._waiting.extendleft(reversed(self._held))
        self._held.clear()
        return self._fill()

    def delivered(
        self, delivery: Deliver, status: str, *, external_id: str = "", code: str = "", reason: str = ""
    ) -> Sequence[GatewayFrame | bytes]:
        """Says what became of a delivery (`sent`, `failed`, `refused`, `uncertain`); without a connection, the next
        one says it. Of a former generation's delivery it is kept until that is asked for again. Raises `Refusal` for
        what the server would refuse, of which a program would not hear."""
        outcome = checked(
            Delivered(
                delivery=delivery.delivery,
                attempt=delivery.attempt,
                status=status,
                external_id=external_id,
                code=code,
                reason=reason,
            )
        )
        return self._handed_out.settle(delivery, outcome, connected=self.state is State.OPEN)

    def receive(self, frame: ToGateway, *, room: bool = True) -> Turn:
        """Takes one frame. Without `room`, a delivery is answered as `failed`: surely not sent, to be tried later.

        Raises `Refusal` (`INTERNAL`) where the server breaks the protocol: close the connection and come again.
        """
        if self.state is not State.OPEN and not isinstance(frame, Welcome | Error | Drain):
            raise Refusal(Code.INTERNAL, "the server sent a frame before its welcome")
        match frame:
            case Welcome():
                return self._on_welcome(frame)
            case Accounts():
                self.untaken = frame.untaken
                return Turn(happened=[frame])
            case Ack():
                return self._on_ack(frame)
            case Nack():
                return self._on_nack(frame)
            case Flow():
                self._window += frame.credits
                return Turn(self._fill())
            case Deliver():
                return self._on_deliver(frame, room)
            case Ping():
                return Turn((Pong(),))
            case Error(code=code, ref=ref) if code >= Code.INVALID and ref in self._sent:
                self._refused[ref] = frame
                return Turn()
            case Error(ref=ref) if self._settle(ref):
                # It ends the connection. Kept, the event would end every other one.
                return Turn(self._fill(), [EventRefused(ref, frame.code, frame.message)])
            case Error():
                return Turn(happened=[frame])
            case Drain():
                self.drain = frame
                return Turn(happened=[frame])
            case _:
                assert_never(frame)

    def _on_welcome(self, welcome: Welcome) -> Turn:
        if self.state is not State.HELLO_SENT:
            raise Refusal(Code.INTERNAL, "the server sent a second welcome")
        if self.welcome and self.welcome.generation != welcome.generation:
            self._handed_out.begin_generation()
        self.state = State.OPEN
        self.welcome = welcome
        self.untaken = {}
        self._window = welcome.limits.credits
        self._waiting.extend(self._kept)
        return Turn([*self._handed_out.unsaid(), *self._fill()], [welcome])

    def _on_ack(self, frame: Ack) -> Turn:
        refused = [self._refused.pop(id) for id in frame.ids if id in self._refused] if self._refused else []
        happened: list[Happening] = [EventRefused(e.ref, e.code, e.message) for e in refused if self._settle(e.ref)]
        if ids := [id for id in frame.ids if self._settle(id)]:
            happened.append(EventsSettled(ids, frame.status))
        return Turn(self._fill(), happened)

    def _on_nack(self, frame: Nack) -> Turn:
        if frame.retryable and frame.id in self._sent:
            self._sent.discard(frame.id)
            self._held[frame.id] = None
            return Turn(self._fill(), held=True)
        if not self._settle(frame.id):
            return Turn()
        return Turn(self._fill(), [EventRefused(frame.id, frame.code, frame.message)])

    def _on_deliver(self, frame: Deliver, room: bool) -> Turn:
        match self._handed_out.take(frame, room=room):
            case Deliver():
                return Turn(happened=[frame])
            case Delivered() as known:
                return Turn((known,))
            case None:
                return Turn()

    def _settle(self, id: str) -> bool:
        self._sent.discard(id)
        self._refused.pop(id, None)
        self._held.pop(id, None)
        return self._kept.pop(id, None) is not None

    def _fill(self) -> Sequence[GatewayFrame | bytes]:
        """Returns what fits into the window. An id that was settled while it waited is passed over.

        While something is held nothing else leaves: it would overtake, and meet the same refusal.
        """
        if not self._waiting or self._held or self.drain or self.state is not State.OPEN:
            return ()
        send: list[GatewayFrame | bytes] = []
        while self._waiting and len(self._sent) < self._window:
            id = self._waiting.popleft()
            if id in self._kept:
                self._sent.add(id)
                send.append(self._kept[id])
        return send
