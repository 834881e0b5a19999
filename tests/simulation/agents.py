"""Agents: they watch inboxes and conversations through the SDK's session, and ask for things at random.

What an agent was shown is compared at once with the journal: each event once, in order, none left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.gateway.server import AGENTS
from orchestrator.way_in.once_keys import once_key
from protocol.agent_session import AgentSession
from protocol.commands import (
    AddNote,
    AnyCommand,
    Assign,
    LinkIdentity,
    Move,
    Reopen,
    ReplayDelivery,
    Reply,
    Resolve,
    SetContext,
    SettleDelivery,
    Snooze,
    SwitchChannel,
    Take,
    UnlinkIdentity,
)
from protocol.entities import ConversationSummary, Delivery, Status
from protocol.frames import Error, Inbox, Result
from protocol.ids import customer_of
from protocol.watched import ConversationUpdate
from tests.simulation.clients import CODEC, Client

if TYPE_CHECKING:
    from tests.simulation.world import World

QUEUE = "queue:default"
HELD = ("dead", "uncertain")
"""States in which a delivery waits for a person."""
SWITCHED_TO = ("chat", "email", "sms", "messenger")


@dataclass(slots=True)
class Asked:
    """One command and what became of it."""

    id: str
    agent: str
    conversation: str
    command: AnyCommand
    result: Result | None = None

    @property
    def key(self) -> int:
        """Its once-key."""
        return once_key("command", f"agent:{self.agent}", self.id)


class Agent(Client):
    """One agent at one desk."""

    path = AGENTS
    session: AgentSession

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, f"agent:{name}")
        self.agent = name
        self.session = AgentSession(token=f"agent:{name}", client="simulation")
        self.inboxes: dict[str, dict[str, ConversationSummary]] = {}
        self.seen: dict[str, int] = {}
        """By conversation: how far it was shown."""
        self._opened: set[str] = set()
        """Conversations it watches for themselves."""
        self._refused: set[str] = set()
        """Conversations whose watch the server has ended."""
        self.busy = False
        """It takes no updates now: its application is slow."""
        self._asked = 0
        self._watch_all()

    def restart(self) -> None:
        """Its program crashes; it goes on from the resume point it had written down. Pending commands are forgotten."""
        self.session = AgentSession(
            token=f"agent:{self.agent}", client="simulation", resume=self.session.resume_point()
        )
        self.inboxes = {}
        self._opened.clear()
        self._refused.clear()
        self._watch_all()
        if self.socket is not None:
            self.socket.break_off(server_hears_s=0.0)

    def decode(self, data: bytes) -> list[Any]:
        return CODEC.decode_to_agent(data)

    def left(self, data: bytes) -> None:
        self.world.witness.to_agent(data)

    def take(self, frame: Any) -> None:
        turn = self.session.receive(frame, room=not self.busy)
        self.say(turn.send)
        if turn.held:
            self.world.loop.call_later(0.5, self.catch_up)
        for happened in turn.happened:
            match happened:
                case ConversationUpdate():
                    self._shown(happened)
                case Inbox():
                    self._listed(happened)
                case Result():
                    self._resulted(happened)
                case Error():
                    self._told(happened)

    def catch_up(self) -> None:
        """There is room again."""
        self.busy = False
        self.say(self.session.catch_up())

    def read(self, *, reading: bool) -> bool:
        """Stops or goes on reading from its socket. False where it has none."""
        if self.socket is None:
            return False
        if reading:
            self.socket.read_on()
        else:
            self.socket.reading = False
        return True

    def watched(self) -> list[str]:
        """The conversations it watches."""
        followed = self.inboxes.get(QUEUE, {})
        return sorted(self._opened | {c for c in followed if c not in self._refused})

    def watch(self, conversation: str) -> None:
        """Opens one conversation."""
        self._opened.add(conversation)
        self.say(self.session.watch(conversation=conversation))

    def unwatch(self, conversation: str) -> None:
        """Closes it."""
        self._opened.discard(conversation)
        self.say(self.session.unwatch(conversation=conversation))

    def ask(self, command: AnyCommand, *, conversation: str = "", customer: str = "") -> None:
        """Asks something."""
        self._asked += 1
        asked = Asked(f"{self.agent}-{self._asked}", self.agent, conversation or customer, command)
        self.world.asked[asked.id] = asked
        self.say(self.session.command(asked.id, command, conversation=conversation, customer=customer))

    def _watch_all(self) -> None:
        for inbox in (QUEUE, "mine"):
            self.session.watch(inbox=inbox, follow=inbox == QUEUE)

    def _shown(self, update: ConversationUpdate) -> None:
        world, conversation = self.world, update.conversation
        at = self.seen.get(conversation, 0)
        first = update.seq - len(update.events) + 1
        if first - update.skipped != at + 1 or (update.skipped and update.view is None):
            world.broken("no_gap", f"{self.name} was at {at} of {conversation} and was shown {first} to {update.seq}")
        ledger = world.ledger
        truly = [
            known[first - 1 : update.seq] for known in (ledger.streams.get(conversation, []), ledger.told(conversation))
        ]
        if update.events not in truly:
            world.broken("no_gap", f"{self.name} was shown {conversation} {first} to {update.seq} otherwise")
        self.seen[conversation] = update.seq
        world.trace("shown", agent=self.agent, conversation=conversation, seq=update.seq)

    def _listed(self, inbox: Inbox) -> None:
        rows = self.inboxes.setdefault(inbox.inbox, {})
        if inbox.full:
            rows.clear()
        for gone in inbox.removed:
            rows.pop(gone, None)
        self._refused.difference_update(row.conversation for row in inbox.entries)
        rows.update({row.conversation: row for row in inbox.entries})

    def _told(self, error: Error) -> None:
        """A watch is over: right where the conversation is."""
        self.world.trace("error", agent=self.agent, code=error.code, ref=error.ref)
        kind, _, conversation = error.ref.partition("=")
        if kind == "conversation":
            views = self.world.folds.views(conversation)
            if views and views[-1].status is not Status.CLOSED:
                self.world.broken("no_gap", f"{self.name} was told {error.code} of {conversation}, which is live")
            self._opened.discard(conversation)
            self._refused.add(conversation)

    def _resulted(self, result: Result) -> None:
        self.world.asked[result.id].result = result
        self.world.trace("result", id=result.id, code=result.code, seq=result.seq)


def any_command(world: "World", agent: Agent, conversation: str) -> Callable[[], None]:
    """Something an agent may ask of a conversation."""
    random, words = world.random, f"words {world.random.randrange(10**6)}"
    commands: list[tuple[float, Callable[[], AnyCommand]]] = [
        (5, lambda: Reply(text=words)),
        (2, lambda: AddNote(text=words)),
        (2, lambda: Take(force=random.random() < 0.3)),
        (1, lambda: Assign(owner=random.choice(["", *world.agent_names]))),
        (1, lambda: Move(queue=random.choice(["default", "second"]))),
        (1, lambda: Snooze(until_ms=world.now_ms() + random.randrange(200, 3000))),
        (1, lambda: Resolve()),
        (1, lambda: Reopen()),
        (3, lambda: _context_or_switch(random.choice("abc"), words)),
        (1, lambda: ReplayDelivery(delivery=f"{conversation}.1")),
    ]
    if (waiting := held(world)) and random.random() < 0.5:
        # Few are held, so that they are looked for.
        where, delivery = random.choice(waiting)
        judged = _judged(world, delivery)
        return lambda: agent.ask(judged, conversation=where)
    if random.random() < 0.08:
        identity = random.choice(world.identities)
        customer = customer_of(conversation)
        # Not back to whom it was unlinked from: while its events are under way their order is not kept then.
        customer = world.ledger.root(customer)
        if (identity, customer) not in world.ledger.owned:
            return lambda: agent.ask(LinkIdentity(identity=identity), customer=customer)
    if random.random() < 0.14:
        # Of the customer whose it is, mostly.
        identity = random.choice(world.identities)
        customer = world.ledger.owners.get(identity, "") or customer_of(conversation)
        return lambda: agent.ask(UnlinkIdentity(identity=identity), customer=customer)
    make = random.choices([make for _, make in commands], [weight for weight, _ in commands])[0]
    command = make()
    return lambda: agent.ask(command, conversation=conversation)


def _context_or_switch(key: str, words: str) -> AnyCommand:
    """Most agents note something; some go on on another channel, should the customer be there."""
    number = sum(words.encode())
    return SwitchChannel(channel=SWITCHED_TO[number % 4]) if number % 3 == 0 else SetContext(key=key, value=words)


def held(world: "World") -> list[tuple[str, Delivery]]:
    """Every delivery that waits for a person, with its conversation."""
    conversations = [stream for stream in world.ledger.streams if "-" in stream]
    newest = [(each, views[-1]) for each in conversations if (views := world.folds.views(each))]
    return [(each, delivery) for each, view in newest for delivery in view.deliveries if delivery.state in HELD]


def _judged(world: "World", delivery: Delivery) -> AnyCommand:
    """Sent again or, of an uncertain one, said to have left, or not to, which nobody here knows; seldom of a dead one
    too."""
    settled = world.random.random() < (0.5 if delivery.state == "uncertain" else 0.1)
    if not settled:
        return ReplayDelivery(delivery=delivery.id)
    return SettleDelivery(delivery=delivery.id, left=len(delivery.text) % 4 > 0)
