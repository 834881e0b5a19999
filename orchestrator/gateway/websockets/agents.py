"""An agent's connection: watches, commands, presence.

Watches are paced: a few are asked for at a time, the next when an earlier one's answer has been given to the socket. So
a reconnect with thousands of positions holds a few snapshots in memory and not thousands, and answers need no dropping.
"""

from collections import deque
from typing import Any, ClassVar

from orchestrator.gateway.failures import failed
from orchestrator.gateway.peers import Intake
from orchestrator.gateway.websockets.connection import Connection, Terms
from orchestrator.gateway.websockets.hub import Hub
from orchestrator.gateway.websockets.inboxes import Inboxes
from orchestrator.tokens import Token
from orchestrator.way_in.event_checks import ID_MAX
from protocol.codec import Codec
from protocol.commands import SERVERS_OWN
from protocol.errors import Code, Refusal
from protocol.frames import CommandFrame, Error, Heads, Hello, Presence, Result, Resync, Unwatch, Watch

WATCHES_AT_ONCE = 16
"""Watches asked for, or answered and unsent. Times the longest snapshot, it bounds what answers take."""
COMMANDS_MAX = 256
"""Commands of one agent without a result; one more is refused as `OVERLOADED`."""
PRESENCES = ("online", "away", "offline")
MINE = "mine"
NAME_MAX = 512
"""Characters of what is watched, and of a watch's `ref`: no id or queue has more. They are kept as long as it is
watched, here and in the cells, `limits.watches_max` of them, and a frame would hold a million of each."""
_INBOX = "inbox="
"""Begins the topic of an inbox in the outgoing queue; other topics are conversations."""


class AgentConnection(Connection):
    """One agent at one socket."""

    kind: ClassVar[str] = "agent"

    def __init__(
        self, terms: Terms, codec: Codec, presented: str, *, hub: Hub, inboxes: Inboxes, intake: Intake
    ) -> None:
        super().__init__(terms, codec, presented)
        self.presence = ""
        self._hub = hub
        self._inboxes = inboxes
        self._intake = intake
        self._name = ""
        self._conversations: dict[str, None] = {}
        """Watched ones, in the order of asking."""
        self._lists: dict[str, str] = {}
        """Inbox, as the agent names it → list."""
        self._to_watch: deque[Watch] = deque()
        """Not asked for yet; bounded with the watches."""
        self._asked = 0
        """Watches that were asked for and are not answered."""
        self._unsent: deque[int] = deque()
        """Answers that the socket has not taken, by their numbers in the outgoing queue."""
        self._commands = 0
        """Commands without their result."""

    def decode(self, message: bytes | str) -> list[Any]:
        """Agents' frames."""
        return list(self.codec.decode_agent(message))

    def opened(self, hello: Hello, token: Token) -> None:
        """Welcomes an agent and resumes what it watched."""
        if not token.covers("agent", "operator"):
            raise Refusal(Code.FORBIDDEN, "this entrance needs a token with the scope `agent`")
        if not self.terms.generation():
            raise Refusal(Code.DRAINING, "the server is starting; reconnect after a moment")
        self._name = token.name
        self.welcome(token, watches=self.terms.watches)
        for position in hello.positions:
            self._watch(Watch(conversation=position.conversation, seq=position.seq, generation=hello.generation))
        for inbox in hello.inboxes:
            self._watch(Watch(inbox=inbox))

    def frame(self, frame: Any) -> None:
        """Does what the agent asks."""
        match frame:
            case Watch():
                self._watch(frame)
            case Unwatch():
                self._unwatch(frame)
            case CommandFrame():
                self._command(frame)
            case Presence(state=state):
                if state not in PRESENCES:
                    raise Refusal(Code.INVALID, f"presence must be one of {', '.join(PRESENCES)}", field="state")
                self.presence = state
            case _:
                raise AssertionError(f"the codec lets no {type(frame).__name__} through here")

    def refused_input(self, refusal: Refusal) -> None:
        """Refusals of commands are results where the command has an id."""
        if refusal.ref and not refusal.ref.startswith(("conversation=", "customer=", _INBOX)):
            self.send(Result(id=refusal.ref, code=refusal.code, message=refusal.message, retryable=refusal.retryable))
        else:
            self.send(Error(code=refusal.code, message=refusal.message, ref=refusal.ref))

    def heartbeat(self) -> Heads:
        """The heads of all watched conversations: an update lost anywhere shows within one heartbeat."""
        return Heads(heads=self._hub.heads(self, list(self._conversations)))

    def closed(self) -> None:
        """Leaves every fan-out. Commands go on; asked again under its id, one repeats its result."""
        self._to_watch.clear()
        for conversation in list(self._conversations):
            self._hub.unwatch(self, conversation)
        for name in list(self._lists.values()):
            self._inboxes.unwatch(self, name)
        self._conversations.clear()
        self._lists.clear()

    # Watches

    def _watch(self, watch: Watch) -> None:
        if max(map(len, (watch.conversation, watch.customer, watch.inbox, watch.ref))) > NAME_MAX:
            long = Refusal(
                Code.OVER_LIMIT, f"watch: conversation, customer, inbox and ref have at most {NAME_MAX} characters"
            )
            self._watch_error(_named(watch)[:NAME_MAX], long)
            return
        if sum(map(bool, (watch.conversation, watch.customer, watch.inbox))) != 1:
            self._watch_error(watch.ref, Refusal(Code.INVALID, "watch: give one of conversation, customer and inbox"))
            return
        new = watch.conversation not in self._conversations and _inbox_of(watch) not in self._lists
        if new and len(self._conversations) + len(self._lists) + len(self._to_watch) >= self.terms.watches:
            over = Refusal(Code.OVER_LIMIT, f"{self.terms.watches} watches are allowed at once")
            self._watch_error(_named(watch), over)
            return
        self._to_watch.append(watch)
        self._ask_next()

    def _ask_next(self) -> None:
        """Asks for as many watches as may be on their way now."""
        while self._unsent and self._unsent[0] <= self.outgoing.taken:
            self._unsent.popleft()
        while self._to_watch and self._asked + len(self._unsent) < WATCHES_AT_ONCE and not self.outgoing.crowded:
            watch = self._to_watch.popleft()
            self._asked += 1
            if watch.conversation:
                self._watch_conversation(watch)
            else:
                self._watch_inbox(watch)

    def _watch_conversation(self, watch: Watch) -> None:
        # A position of another generation means nothing: the journal in which it counted is gone.
        seq = watch.seq if watch.generation == self.terms.generation() else -1
        self._conversations[watch.conversation] = None
        self._hub.watch(
            self,
            watch.conversation,
            max(seq, -1),
            lambda refusal: self._conversation_watched(watch, refusal),
        )

    def _conversation_watched(self, watch: Watch, refusal: Refusal | None) -> None:
        self._asked -= 1
        if refusal:
            self._conversations.pop(watch.conversation, None)
            self._watch_error(_named(watch), refusal)
        self._ask_next()

    def _watch_inbox(self, watch: Watch) -> None:
        inbox = _inbox_of(watch)
        try:
            name = self._list_of(inbox)
        except Refusal as refusal:
            self._asked -= 1
            self._watch_error(_named(watch), refusal)
            return
        self._lists[inbox] = name
        self._inboxes.watch(self, name, inbox, lambda refusal: self._inbox_watched(watch, refusal))

    def _inbox_watched(self, watch: Watch, refusal: Refusal | None) -> None:
        self._asked -= 1
        if refusal:
            self._lists.pop(_inbox_of(watch), None)
            self._watch_error(_named(watch), refusal)
        self._ask_next()

    def _list_of(self, inbox: str) -> str:
        kind, _, value = inbox.partition(":")
        if inbox == MINE:
            return f"owner:{self._name}"
        if kind in ("queue", "customer") and value:
            return inbox
        raise Refusal(Code.INVALID, "an inbox is `mine`, `queue:<name>` or `customer:<id>`", field="inbox")

    def _unwatch(self, frame: Unwatch) -> None:
        if frame.conversation:
            self._to_watch = deque(watch for watch in self._to_watch if watch.conversation != frame.conversation)
            self._leave(frame.conversation)
        for inbox in (frame.inbox, frame.customer and f"customer:{frame.customer}"):
            if inbox:
                self._to_watch = deque(watch for watch in self._to_watch if _inbox_of(watch) != inbox)
                if name := self._lists.pop(inbox, ""):
                    self._inboxes.unwatch(self, name)

    def _leave(self, conversation: str) -> None:
        if conversation in self._conversations:
            del self._conversations[conversation]
            self._hub.unwatch(self, conversation)

    def _watch_error(self, ref: str, refusal: Refusal) -> None:
        self.terms.metrics.refused(refusal.code, self.kind)
        self.send(Error(code=refusal.code, message=refusal.message, ref=ref))

    # What the hub and the inboxes call

    @property
    def asker(self) -> str:
        """The agent's token, of however many connections."""
        assert self.token, "nothing is watched before `hello`"
        return self.token.id

    def answer(self, frame: bytes) -> None:
        """The answer to a watch."""
        self._unsent.append(self.outgoing.put(frame))

    def update(self, frame: bytes, conversation: str) -> bool:
        """An update of a watched conversation."""
        return self.outgoing.offer(frame, conversation)

    def change(self, frame: bytes, inbox: str) -> bool:
        """A changed row of a watched inbox."""
        return self.outgoing.offer(frame, _INBOX + inbox)

    def overflowed(self) -> None:
        """The agent reads too slowly: it leaves what lost frames, and is told when its socket has drained."""
        self.terms.metrics.overflows += 1
        for topic in sorted(self.outgoing.dropped):
            if topic.startswith(_INBOX):
                if name := self._lists.pop(topic.removeprefix(_INBOX), ""):
                    self._inboxes.unwatch(self, name)
            else:
                self._leave(topic)

    def watch_failed(self, conversation: str, refusal: Refusal) -> None:
        """A watch that stood has ended."""
        self._conversations.pop(conversation, None)
        self._watch_error(f"conversation={conversation}", refusal)

    def inbox_failed(self, inbox: str, refusal: Refusal) -> None:
        """The same of an inbox, which could not be listed anew."""
        self._lists.pop(inbox, None)
        self._watch_error(_INBOX + inbox, refusal)

    def sent(self) -> None:
        """The socket took something: time to say what to watch again, and to ask for the next watches."""
        if self.outgoing.dropped:
            self._resync()
        self._ask_next()

    def _resync(self) -> None:
        topics = sorted(self.outgoing.dropped)
        self.outgoing.dropped.clear()
        self.terms.metrics.resyncs.inc()
        self.send(
            Resync(
                conversations=[topic for topic in topics if not topic.startswith(_INBOX)],
                inboxes=[topic.removeprefix(_INBOX) for topic in topics if topic.startswith(_INBOX)],
            )
        )

    # Commands

    def _command(self, frame: CommandFrame) -> None:
        if (instead := SERVERS_OWN.get(type(frame.command))) is not None:
            raise Refusal(Code.INVALID, f"this command is the server's own; see {instead}", ref=frame.id)
        if not 0 < len(frame.id) <= ID_MAX:
            raise Refusal(Code.INVALID, f"command: id must have 1 to {ID_MAX} characters", ref=frame.id)
        if bool(frame.conversation) == bool(frame.customer):
            raise Refusal(Code.INVALID, "command: give one of conversation and customer", ref=frame.id)
        if self._commands >= COMMANDS_MAX:
            raise Refusal(Code.OVERLOADED, f"{COMMANDS_MAX} commands wait for their result", ref=frame.id)
        self._commands += 1
        self.terms.tasks.begin(self._run(frame))

    async def _run(self, frame: CommandFrame) -> None:
        try:
            answered = await self._intake.command(
                actor=f"agent:{self._name}",
                id=frame.id,
                command=frame.command,
                conversation=frame.conversation,
                customer=frame.customer,
            )
        except Refusal as refusal:
            self.terms.metrics.refused(refusal.code, self.kind)
            self._result(frame, refusal)
        except Exception as exc:  # noqa: BLE001 - a bug met on one agent's behalf is that agent's answer
            self._result(frame, failed(exc, where="command", new_reference=self.terms.new_id))
        else:
            self.send(Result(id=frame.id, conversation=answered.stream, seq=answered.seq))
        finally:
            self._commands -= 1

    def _result(self, frame: CommandFrame, refusal: Refusal) -> None:
        self.send(Result(id=frame.id, code=refusal.code, message=refusal.message, retryable=refusal.retryable))


def _inbox_of(watch: Watch) -> str:
    return f"customer:{watch.customer}" if watch.customer else watch.inbox


def _named(watch: Watch) -> str:
    """What its refusal names a watch by: as the agent does, else by what was to be watched."""
    return watch.ref or (f"conversation={watch.conversation}" if watch.conversation else _INBOX + _inbox_of(watch))
