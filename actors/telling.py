"""Telling: what is known of a customer, for a machine that must speak in a moment. Pure.

An IVR or a bot that greets wants the issue, the last steps in words, and a sentence to begin with; of what was said it
gets nothing, and of the context nothing that its own channel may not carry.
"""

from collections.abc import Sequence
from copy import copy

import msgspec

from actors.context import withholding
from actors.context.withholding import Secret
from actors.rules.context import ContextRules
from actors.rules.policy import Policy
from actors.state import recent
from actors.state.context_items import sensitivity_of, values_of
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from protocol.entities import ContextItem, ConversationView, CustomerView, LastStep, Tag, Tags
from protocol.events import (
    ActivityCarried,
    ActivitySeen,
    AnyEvent,
    AutomaticReplyReceived,
    ChannelSwitched,
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    DeliveryDead,
    DeliveryUncertain,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    InteractionEnded,
    InteractionStarted,
    MessageQueued,
    MessageReceived,
    OwnerChanged,
    QueueChanged,
)

STEPS_MAX = 10
STRANGERS = "Hello, how can we help?"
"""The greeting for a customer who has nothing open, or for an identity that several people share."""

_decode = msgspec.msgpack.Decoder(AnyEvent).decode


def last_steps(conversations: Sequence[Conversation]) -> list[LastStep]:
    """The last steps of one conversation, oldest first: of the newest that is live, or else of the newest."""
    told = max(conversations, key=lambda c: (c.live, c.updated_at_ms), default=None)
    if told is None:
        return []
    steps: list[LastStep] = []
    for encoded in reversed(recent.events(told.recent)):
        if (step := step_of(_decode(encoded))) is not None:
            steps.append(step)
            if len(steps) == STEPS_MAX:
                break
    return steps[::-1]


def step_of(event: AnyEvent) -> LastStep | None:
    """A fact in words; None for one that says nothing about what happened with the issue."""
    words, channel = _words(event)
    return LastStep(at_ms=event.at_ms, words=words, channel=channel) if words else None


def _words(event: AnyEvent) -> tuple[str, str]:
    match event:
        case ConversationOpened():
            return "the conversation began", ""
        case InteractionStarted(direction=direction, channel=channel):
            who = "the customer" if direction == "inbound" else _agent(event.actor)
            return f"{who} made contact by {channel}", channel
        case InteractionEnded(reason=reason):
            return f"a contact ended ({reason})" if reason else "a contact ended", ""
        case MessageReceived(channel=channel):
            return f"the customer wrote by {channel}", channel
        case AutomaticReplyReceived(channel=channel):
            return f"a machine answered for the customer by {channel}", channel
        case ActivitySeen(channel=channel, name=name):
            return f"the customer did “{name}” by {channel}", channel
        case ActivityCarried(channel=channel, name=name):
            return f"before that, the customer did “{name}” by {channel}", channel
        case MessageQueued(channel=channel):
            return f"{_agent(event.actor)} answered by {channel}", channel
        case DeliveryDead():
            return "an answer could not be delivered", ""
        case DeliveryUncertain(retry_at_ms=0):
            return "an answer may or may not have been delivered", ""
        case ChannelSwitched(from_channel=origin, to_channel=target):
            return f"it went on by {target} instead of {origin}", target
        case HandoffOffered(to=to):
            return f"it was offered to {to.partition(':')[2] or to}", ""
        case HandoffDeclined() | HandoffExpired() | HandoffWithdrawn():
            return f"that offer {_OFFER_ENDED[type(event)]}", ""
        case OwnerChanged(owner=owner):
            return f"{owner or 'nobody'} has it", ""
        case QueueChanged(queue=queue):
            return f"it waits in {queue}", ""
        case ConversationSnoozed() | ConversationResolved() | ConversationReopened() | ConversationClosed():
            return f"it was {_STATUS[type(event)]}", ""
        case _:
            return "", ""


_OFFER_ENDED: dict[type[AnyEvent], str] = {
    HandoffDeclined: "was declined",
    HandoffExpired: "was answered by nobody",
    HandoffWithdrawn: "was withdrawn",
}
"""One that is accepted ends with a new owner, which is told."""
_STATUS: dict[type[AnyEvent], str] = {
    ConversationSnoozed: "put off",
    ConversationResolved: "resolved",
    ConversationReopened: "opened again",
    ConversationClosed: "closed",
}


def _agent(actor: str) -> str:
    return actor.removeprefix("agent:") if actor.startswith("agent:") else "we"


def customer_view(state: Journey, views: list[ConversationView], *, channel: str = "", policy: Policy) -> CustomerView:
    """What is known of the customer; `views` are of the live conversations. With a channel: for a machine there."""
    if channel:
        channel = policy.context.named(channel)
        # By the rules that each stays with: what those withhold there is not told, whatever newer ones would say.
        rules = {c.id: policy.at(c.policy, channel).context for c in state.kept}
        views = [for_channel(view, channel, rules[view.conversation]) for view in views]
    topic = known_as(views, "topic")
    return CustomerView(
        customer=state.customer,
        identities=list(state.identities),
        links=list(state.links),
        open=views,
        past=list(state.past),
        topic=topic,
        intent=known_as(views, "intent"),
        last_steps=last_steps([*state.kept]),
        suggested_greeting=greeting(views, policy.taxonomy.title_of("topic", topic), channel),
    )


def for_channel(view: ConversationView, channel: str, rules: ContextRules) -> ConversationView:
    """The view for a machine on a channel: without what it may not carry, which is named in `withheld`, also where it
    stands in a subject or in another item, without messages that are still to leave on others, without what agents say
    to each other as they hand it over, and without the words and numbers by which it is known what it is about."""
    channel = rules.named(channel)
    secrets = withholding.secrets({item.key: item for item in view.context}, channel, rules)
    carried = [item for item in view.context if rules.may_carry(channel, sensitivity_of(item))]
    carried = [item for item in carried if not _says_one(item, secrets)] if secrets else carried
    told = {item.key for item in carried}
    return msgspec.structs.replace(
        view,
        subject="" if secrets and withholding.told(view.subject, secrets) else view.subject,
        context=[copy(item) for item in carried],
        withheld=sorted(item.key for item in view.context if item.key not in told),
        deliveries=[],
        interactions=[msgspec.structs.replace(each, tags=None, reason="") for each in view.interactions],
        relation=msgspec.structs.replace(view.relation, reason="") if view.relation else None,
        handoff=msgspec.structs.replace(view.handoff, package=None, reason="") if view.handoff else None,
        tags=_plain(view.tags),
        carried=None,
    )


def _says_one(item: ContextItem, secrets: Sequence[Secret]) -> bool:
    return any(withholding.told(value.value, secrets) for value in values_of(item) if isinstance(value.value, str))


def _plain(tags: Tags | None) -> Tags | None:
    if tags is None:
        return None
    return Tags(
        topic=_named(tags.topic),
        intent=_named(tags.intent),
        product_line=_named(tags.product_line),
        segment=_named(tags.segment),
    )


def _named(tag: Tag | None) -> Tag | None:
    return Tag(value=tag.value) if tag else None


def known_as(views: Sequence[ConversationView], key: str) -> str:
    """The topic or intent of the newest open conversation that is shown: a context item of that name that an agent set,
    else what the policy's taxonomy found, else what a channel said in its own words (a mail's subject, a menu's
    choice); empty where there is none."""
    newest = max(views, key=lambda view: view.updated_at_ms, default=None)
    items: list[ContextItem] = newest.context if newest else []
    item = next((item for item in items if item.key == key and isinstance(item.value, str) and item.value), None)
    tags = (newest.tags if newest else None) or Tags()
    tag = {"topic": tags.topic, "intent": tags.intent}.get(key)
    if item is not None and (tag is None or item.actor.startswith("agent:")):
        return str(item.value)
    return tag.value if tag else ""


def greeting(views: Sequence[ConversationView], topic: str, channel: str) -> str:
    """A sentence that a machine may say first: it names the issue, never what was said."""
    if not views:
        return STRANGERS
    newest = max(views, key=lambda view: view.updated_at_ms)
    about = newest.subject or topic
    ask = "are you calling" if channel.strip().casefold() in ("", "phone") else "is this"
    return f"Hello, {ask} about “{about}”?" if about else f"Hello, {ask} about your open request?"
