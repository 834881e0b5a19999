"""The agent's side of a connection, without I/O: frames in, frames to send and happenings out.

A session outlives its connections. It knows what is watched and how far each conversation has come, so that

    - each event of a watched conversation happens once, in order, whatever is lost, repeated or overtaken on the way;
    - a reconnect resumes where the last connection broke, and asks again, under their ids, commands without a result;
    - updates that find no room are not taken, and are asked for again when there is some: memory stays bounded.

    NEW ──connect──▶ HELLO_SENT ──welcome──▶ OPEN
                        ▲  └──disconnect──┐    │ disconnect
                        └────connect──── CLOSED ◀┘
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import assert_never

from msgspec import Struct, field

from protocol.commands import AnyCommand
from protocol.errors import Code, Refusal, retryable
from protocol.frames import (
    AgentFrame,
    CommandFrame,
    Drain,
    Error,
    Heads,
    Hello,
    Inbox,
    Pong,
    Presence,
    Result,
    Resync,
    Snapshot,
    ToAgent,
    Unwatch,
    Update,
    Watch,
    Welcome,
)
from protocol.watched import ConversationUpdate, ResumePoint, WatchedConversations

COMMANDS_MAX = 1024
"""Commands without a result; over it a command is refused as `OVERLOADED`."""
_APPLICATION = "application"
"""The reason of a watch that the application asked for; other reasons are the inboxes that are followed."""
_OF_CUSTOMER = "customer:"
"""An inbox of this kind lists a customer's conversations; it is watched by the customer's id."""


class State(StrEnum):
    """Where a session stands with its connection."""

    NEW = "new"
    """There was none yet."""
    HELLO_SENT = "hello_sent"
    """Waiting for the welcome."""
    OPEN = "open"
    CLOSED = "closed"
    """It broke or was closed; `connect` begins the next."""


Happening = Welcome | ConversationUpdate | Inbox | Result | Error | Drain
"""What an application hears of."""


class Turn(Struct, frozen=True, gc=False):
    """What one step brings about."""

    send: Sequence[AgentFrame] = ()
    happened: list[Happening] = field(default_factory=list)
    held: bool = False
    """A watch was refused for now: call `catch_up` after a back-off. The next heartbeat asks again as well."""


class AgentSession:
    """One agent's watches, positions and pending commands."""

    def __init__(self, *, token: str = "", client: str = "", resume: ResumePoint | None = None) -> None:
        self.state = State.NEW
        self.welcome: Welcome | None = None
        """Of the newest connection."""
        self.drain: Drain | None = None
        """The server wants this connection to end once it is `idle`."""
        self._token = token
        self._client = client
        self._watched = WatchedConversations(resume or ResumePoint())
        self._inboxes: dict[str, bool] = {}
        """Watched inboxes; whether their conversations are followed."""
        self._inboxes_behind: set[str] = set()
        self._commands: dict[str, CommandFrame] = {}
        self._presence = ""

    # The connection

    @property
    def idle(self) -> bool:
        """Whether nothing is owed on this connection: every command has its result."""
        return not self._commands

    def connect(self) -> Sequence[AgentFrame]:
        """Begins a connection: returns its first frames."""
        self.state = State.HELLO_SENT
        self.drain = None
        self._inboxes_behind.clear()
        positions = self._watched.hello()
        hello = Hello(
            token=self._token,
            client=self._client,
            generation=self._watched.generation if positions else "",
            positions=positions,
            inboxes=[inbox for inbox in self._inboxes if not inbox.startswith(_OF_CUSTOMER)],
        )
        return [hello]

    def disconnect(self) -> None:
        """The connection is gone."""
        self.state = State.CLOSED

    def receive(self, frame: ToAgent, *, room: bool = True) -> Turn:
        """Takes one frame. Without `room`, updates are left for `catch_up`; everything else is taken all the same.

        Raises `Refusal` (`INTERNAL`) where the server breaks the protocol: close the connection and come again.
        """
        if self.state is not State.OPEN and not isinstance(frame, Welcome | Error | Drain):
            raise Refusal(Code.INTERNAL, "the server sent a frame before its welcome")
        match frame:
            case Welcome():
                return self._on_welcome(frame)
            case Snapshot():
                return _turn(*self._watched.on_snapshot(frame, room))
            case Update():
                return _turn(*self._watched.on_update(frame, room))
            case Inbox():
                return self._on_inbox(frame, room)
            case Heads():
                again = self.catch_up() if room else []
                return Turn([Pong(), *self._watched.on_heads(frame.heads), *again])
            case Resync():
                return Turn(self._on_resync(frame))
            case Result():
                return Turn(happened=[frame] if self._commands.pop(frame.id, None) else [])
            case Error():
                return self._on_error(frame)
            case Drain():
                self.drain = frame
                return Turn(happened=[frame])
            case _:
                assert_never(frame)

    def catch_up(self) -> Sequence[AgentFrame]:
        """There is room again: returns the frames that ask for what was left."""
        if self.state is not State.OPEN:
            return []
        inboxes = [_watch_inbox(inbox) for inbox in sorted(self._inboxes_behind)]
        self._inboxes_behind.clear()
        return [*self._watched.catch_up(), *inboxes]

    # What the application asks for: each returns the frames to send now; a reconnect says it all again by itself

    def watch(
        self, *, conversation: str = "", customer: str = "", inbox: str = "", follow: bool = False
    ) -> Sequence[AgentFrame]:
        """Watches a conversation, a customer, or an inbox (`queue:<name>`, `mine`); give one of the three.

        With `follow`, every conversation that is listed there is watched for as long as it is.
        """
        if conversation:
            return self._if_open(self._watched.add(conversation, _APPLICATION))
        inbox = f"{_OF_CUSTOMER}{customer}" if customer else inbox
        self._inboxes[inbox] = follow
        return self._if_open([_watch_inbox(inbox)])

    def unwatch(self, *, conversation: str = "", customer: str = "", inbox: str = "") -> Sequence[AgentFrame]:
        """Stops watching, with what was followed because of it. Positions are kept: to watch again resumes there."""
        if conversation:
            return self._if_open(self._leave([conversation], _APPLICATION))
        listing = f"{_OF_CUSTOMER}{customer}" if customer else inbox
        if self._inboxes.pop(listing, None) is None:
            return []
        followed = self._leave(self._watched.because_of(listing), listing)
        return self._if_open([Unwatch(customer=customer, inbox=inbox), *followed])

    def command(
        self, id: str, command: AnyCommand, *, conversation: str = "", customer: str = ""
    ) -> Sequence[AgentFrame]:
        """Asks something under `id`. Its `Result` happens once; until then every new connection asks again.

        Raises `Refusal` (`OVERLOADED`) at `COMMANDS_MAX`.
        """
        if len(self._commands) >= COMMANDS_MAX and id not in self._commands:
            raise Refusal(Code.OVERLOADED, f"{COMMANDS_MAX} commands wait for their results", ref=id)
        frame = CommandFrame(id=id, command=command, conversation=conversation, customer=customer)
        self._commands[id] = frame
        return self._if_open([frame])

    def forget(self, id: str) -> None:
        """Nobody waits for this command's result any more. It may have happened."""
        self._commands.pop(id, None)

    def presence(self, state: str) -> Sequence[AgentFrame]:
        """Says `online`, `away` or `offline`."""
        self._presence = state
        return self._if_open([Presence(state=state)])

    def resume_point(self) -> ResumePoint:
        """Returns how far this session has come."""
        return self._watched.resume_point()

    # What the server says

    def _on_welcome(self, welcome: Welcome) -> Turn:
        if self.state is not State.HELLO_SENT:
            raise Refusal(Code.INTERNAL, "the server sent a second welcome")
        self.state = State.OPEN
        self.welcome = welcome
        send: list[AgentFrame] = [Presence(state=self._presence)] if self._presence else []
        send += [_watch_inbox(inbox) for inbox in self._inboxes if inbox.startswith(_OF_CUSTOMER)]
        send += self._watched.welcome(welcome.generation)
        send += self._commands.values()
        return Turn(send, [welcome])

    def _on_inbox(self, frame: Inbox, room: bool) -> Turn:
        if frame.inbox not in self._inboxes:
            return Turn()
        if not room:
            self._inboxes_behind.add(frame.inbox)
            return Turn()
        return Turn(self._follow(frame) if self._inboxes[frame.inbox] else [], [frame])

    def _follow(self, frame: Inbox) -> list[AgentFrame]:
        listed = [row.conversation for row in frame.entries]
        left = set(frame.removed)
        if frame.full:
            left |= self._watched.because_of(frame.inbox).difference(listed)
        send = self._leave(left, frame.inbox)
        watches_max = self.welcome.limits.watches if self.welcome else 0
        for conversation in listed:
            # At the connection's limit a row is still listed, and its conversation is not followed.
            if conversation in self._watched or len(self._watched) + len(self._inboxes) < watches_max:
                send += self._watched.add(conversation, frame.inbox)
        return send

    def _on_resync(self, frame: Resync) -> list[AgentFrame]:
        inboxes = [_watch_inbox(inbox) for inbox in frame.inboxes if inbox in self._inboxes]
        return [*self._watched.again(frame.conversations), *inboxes]

    def _on_error(self, frame: Error) -> Turn:
        again = retryable(frame.code)
        if self._commands.pop(frame.ref, None):
            return Turn(happened=[Result(id=frame.ref, code=frame.code, message=frame.message, retryable=again)])
        kind, _, name = frame.ref.partition("=")
        if again and kind == "conversation":
            self._watched.postpone(name)
            return Turn(held=True)
        if again and kind == "inbox" and name in self._inboxes:
            self._inboxes_behind.add(name)
            return Turn(held=True)
        # What the server refuses for good is over: asked again on every connection, it would be refused again.
        if kind == "conversation":
            self._watched.drop(name)
        elif kind == "inbox":
            self._inboxes.pop(name, None)
        return Turn(happened=[frame])

    def _leave(self, conversations: set[str] | list[str], reason: str) -> list[AgentFrame]:
        return [Unwatch(conversation=c) for c in sorted(conversations) if self._watched.remove(c, reason)]

    def _if_open(self, frames: Sequence[AgentFrame]) -> Sequence[AgentFrame]:
        return frames if self.state is State.OPEN else []


def _watch_inbox(inbox: str) -> Watch:
    if inbox.startswith(_OF_CUSTOMER):
        return Watch(customer=inbox.removeprefix(_OF_CUSTOMER), ref=f"inbox={inbox}")
    return Watch(inbox=inbox, ref=f"inbox={inbox}")


def _turn(send: Sequence[AgentFrame], update: ConversationUpdate | None) -> Turn:
    return Turn(send, [update] if update else [])
