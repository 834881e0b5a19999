"""What the spectator sees: a line for each thing that happens, on the side where it happens."""

from typing import Protocol, assert_never

from rich.console import Console
from rich.text import Text

from orchestrator.cli.output import rule
from protocol import events as e
from protocol.events import AnyEvent

ICONS = {"chat": "💬", "email": "📧", "sms": "📱", "phone": "📞", "web": "🌐", "app": "🌐"}
TEXT_MAX = 90
TEXT_MIN = 24
"""Characters of a message that are shown: as many as the line has room for, within these."""


class Screen(Protocol):
    """Where a play is shown."""

    def scene(self, title: str) -> None:
        """A new scene begins."""
        ...

    def outside(self, channel: str, who: str, text: str) -> None:
        """Someone outside sends or receives something."""
        ...

    def agent(self, conversation: str, seq: int, event: AnyEvent) -> None:
        """The agent's client received an event."""
        ...

    def note(self, text: str) -> None:
        """A remark to the spectator."""
        ...


class Silent:
    """Shows nothing: for `--json`."""

    def scene(self, title: str) -> None:
        """Not shown."""

    def outside(self, channel: str, who: str, text: str) -> None:
        """Not shown."""

    def agent(self, conversation: str, seq: int, event: AnyEvent) -> None:
        """Not shown."""

    def note(self, text: str) -> None:
        """Not shown."""


class Lines:
    """A terminal, or a file where output goes to one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._conversation = ""

    def scene(self, title: str) -> None:
        """A rule across."""
        self._console.print()
        rule(self._console, title)

    def outside(self, channel: str, who: str, text: str) -> None:
        """At the left edge: the world."""
        self._fill(Text.assemble(f"{_icon(channel)} ", (f"{who}: ", "bold")), text)

    def agent(self, conversation: str, seq: int, event: AnyEvent) -> None:
        """Set in: what the agent's screen shows. The conversation is named where it is another than before."""
        if conversation != self._conversation:
            self._conversation = conversation
            self.note(f"      conversation {conversation}")
        channel, text = _told(event)
        head = Text.assemble(
            ("      agent sees  ", "dim"),
            (f"#{seq:<3} ", "bold cyan"),
            f"{_icon(channel)} ",
            (f"{type(event).__name__:<18} ", "cyan"),
        )
        self._fill(head, text)

    def note(self, text: str) -> None:
        """Dimmed."""
        self._console.print(Text(text, style="dim"))

    def _fill(self, head: Text, text: str) -> None:
        """The line, with as much of the text as it has room for."""
        room = max(TEXT_MIN, min(TEXT_MAX, self._console.width - head.cell_len))
        self._console.print(head + Text(_cut(text, room)))


def _icon(channel: str) -> str:
    return ICONS.get(channel, "  ")


def _cut(text: str, room: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= room else f"{line[: room - 1]}…"


def _told(event: AnyEvent) -> tuple[str, str]:
    """The channel of an event and what of it a spectator looks for."""
    match event:
        case e.MessageReceived() | e.AutomaticReplyReceived():
            return event.channel, f"“{event.text}”"
        case e.MessageQueued():
            return event.channel, f"to {event.to}: “{event.text}”"
        case e.InteractionStarted():
            return event.channel, f"{event.identity} on {event.account}"
        case e.ActivitySeen():
            return event.channel, event.name
        case e.ConversationOpened():
            return "", f"in queue {event.queue}"
        case e.InteractionTagged():
            tags = (event.topic, event.intent, event.product_line, event.segment)
            return "", ", ".join([*(tag.value for tag in tags if tag), *event.keys])
        case e.RepeatContactFound():
            return event.channel, f"{event.topic}, as in {event.earlier}"
        case e.InteractionWentOn():
            return "", ""
        case e.CorrelationCorrected():
            return "", f"{event.correction} {event.other}"
        case e.InteractionMoved():
            return "", f"contact {event.interaction} to {event.to}"
        case e.InteractionReceived():
            return event.interaction.channel, f"from {event.came_from}"
        case e.OwnerChanged():
            return "", f"owner: {event.owner or 'nobody'}"
        case e.QueueChanged():
            return "", f"queue: {event.queue}"
        case e.NoteAdded():
            return "", event.text
        case e.ContextSet():
            return event.channel, f"{event.key} = {event.value}"
        case e.HandoffOffered():
            return "", f"handoff {event.lease} to {event.to}"
        case e.HandoffAccepted() | e.HandoffDeclined() | e.HandoffExpired() | e.HandoffWithdrawn():
            return "", f"handoff {event.lease}"
        case e.IdentityLinked() | e.IdentityUnlinked() | e.IdentityConflictFound() | e.IdentityReviewClosed():
            return "", event.identity
        case e.DeliveryConfirmed():
            return "", f"{event.delivery} {event.status}"
        case (
            e.DeliveryAttempted()
            | e.DeliverySent()
            | e.DeliveryFailed()
            | e.DeliveryUncertain()
            | e.DeliveryDead()
            | e.DeliveryReplayed()
        ):
            return "", event.delivery
        case e.ConversationSnoozed():
            return "", ""
        case (
            e.InteractionEnded()
            | e.ConversationWoken()
            | e.ConversationResolved()
            | e.ConversationReopened()
            | e.ConversationClosed()
            | e.CustomerErased()
        ):
            return "", event.reason
        case e.ContextRefused():
            return event.channel, f"{event.key}: {event.reason}"
        case e.ContextWithdrawn():
            return event.channel, f"{event.key}: known in {event.came_from}"
        case e.ContextWithheld():
            return event.channel, f"not to be said: {', '.join(event.keys)}"
        case e.ChannelSwitched():
            missing = f"; missing: {', '.join(event.missing)}" if event.missing else ""
            return event.to_channel, f"from {event.from_channel}, continuity: {event.continuity}{missing}"
        case e.ActivityCarried():
            return event.channel, event.name
        case e.CustomerGiven():
            return "", f"to {event.to}"
        case e.CustomerMerged() | e.CustomerReleased() | e.CustomerReturned():
            return "", event.other
        case e.PastImported():
            return "", event.conversation
        case e.FactDropped():
            return "", ""
        case e.FieldMissing():
            return event.channel, f"{event.field} is not known"
        case e.InputQuarantined() | e.QuarantineReplayed() | e.ReplayBegun() | e.ReplayRefused() | e.InputErased():
            return "", event.quarantine
        case e.FindingOpened() | e.FindingChanged() | e.FindingCompared() | e.FindingDismissed():
            return "", event.finding
        case e.ReportMade():
            return "", f"{event.opened} opened"
        case e.PolicyApplied():
            return "", str(event.version)
        case _:
            assert_never(event)
