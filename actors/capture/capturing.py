"""Capturing: what a contact's template finds in its event, and what follows where something is missing. Pure.

    found, and new to the conversation    → a context item, with the contact it comes from
    found before, in any contact          → nothing: nobody is asked for what they have said
    missing                               → as the field says: a default; a question, in one message for all that is
                                            missing; a note to the agent; or the whole event goes to quarantine

Asked, and noted, is once for each field of a conversation.
"""

from collections.abc import Sequence, Set

from msgspec import Struct

from actors.capture.templates import template_for
from actors.commands.delivery import attempt_first, has_room
from actors.context import withholding
from actors.inbound.contact import number_of, other_speaker
from actors.rules import accounts
from actors.rules.capture import Field, Value
from actors.rules.policy import Policy
from actors.state import context_items
from actors.state.context_items import Given
from actors.state.conversation import DELIVERIES_MAX, Conversation, knows, tag_of, tagged_by
from protocol.events import (
    AnyEvent,
    FieldMissing,
    MessageQueued,
)
from protocol.events.event import CUSTOMER, POLICY, SYSTEM
from protocol.inbound import InboundEvent, MessageArrived

_NOTHING: Set[str] = frozenset()


class Captured(Struct, frozen=True, gc=False):
    """What a template found: values by field, and the fields that have none and from which something follows now."""

    template: str
    found: list[tuple[Field, Value]]
    missing: list[Field]

    @property
    def forbidding(self) -> Field | None:
        """The field without which the event may not come in."""
        return next((field for field in self.missing if field.when_missing == "quarantine"), None)


def capture(
    state: Conversation,
    event: InboundEvent,
    decided: Sequence[AnyEvent],
    policy: Policy,
    taken: Sequence[Given] = (),
) -> Captured | None:
    """What the event's template finds; None where that is nothing, and nothing follows. `decided` may tell what it is
    about; `taken` is what a new conversation knows from an earlier one."""
    template = template_for(policy.capture, event) if policy.capture.templates else None
    if template is None:
        return None
    # What is known and stays is not looked for; a number that was only named is, to become an item with its origin.
    known = {given.key for given in taken if context_items.is_given(given.value)} if taken else _NOTHING
    found: list[tuple[Field, Value]] = []
    look = template.look()
    for field, finder in template.likely(event, look):
        if field.keep == "first" and _stays(state, field.name, known):
            continue
        if (value := finder.find(event, look)) is not None:
            found.append((field, value))
    missing = [field for field in template.wanted if _follows(state, field)]
    if missing:
        # The channel itself may know it, and says so beside the words; or the taxonomy reads it in them.
        context = getattr(event.data, "context", None) or {}
        brought = known | {key for key, value in context.items() if context_items.is_given(value)} | tagged_by(decided)
        brought |= {field.name for field, _ in found}
        missing = [field for field in missing if field.name not in brought]
    return Captured(template.name, found, missing) if found or missing else None


def _stays(state: Conversation, name: str, taken: Set[str]) -> bool:
    """Whether it is known already, to a field that keeps what was said first."""
    return name in taken or context_items.is_said(state.context, name) or tag_of(state, name) != ""


def _follows(state: Conversation, field: Field) -> bool:
    """Whether anything follows from a field that is not found and not ignored: not twice, and not where somebody has
    said it."""
    if field.when_missing.startswith("ask_"):
        for gap in state.missing:
            if gap.field == field.name:
                return False
    return not knows(state, field.name)


def items(state: Conversation, event: InboundEvent, captured: Captured, decided: Sequence[AnyEvent]) -> list[Given]:
    """What was found, and the defaults, as the event's contact (in `decided`) gives them."""
    number = number_of(state, event, decided)
    said_by = other_speaker(state, event, number)
    values = [(field, value, CUSTOMER) for field, value in captured.found]
    values += [
        (field, field.default, POLICY)
        for field in captured.missing
        if field.when_missing == "default" and field.default is not None
    ]
    return [
        Given(
            key=field.name,
            value=value,
            actor=actor,
            channel=event.channel,
            interaction=number,
            sensitivity=field.sensitivity,
            said_by=said_by if actor == CUSTOMER else "",
        )
        for field, value, actor in values
    ]


def asked(
    state: Conversation,
    event: InboundEvent,
    captured: Captured,
    decided: Sequence[AnyEvent],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """What is said and asked of that which is missing when all of `decided` has happened; `state` is as before it."""
    wanted = [each for each in captured.missing if each.when_missing.startswith("ask_")]
    wanted = [field for field in wanted if not context_items.is_said_after(state.context, decided, field.name)]
    if not wanted:
        return []
    contact = _Contact(state, event, number_of(state, event, decided), policy, now_ms)
    return _ask(contact, captured.template, wanted, len(decided))


class _Contact(Struct, frozen=True, gc=False):
    """Where a template is applied: `number` is of the interaction in `state`."""

    state: Conversation
    event: InboundEvent
    number: int
    policy: Policy
    now_ms: int


def _ask(contact: _Contact, template: str, wanted: list[Field], ahead: int) -> list[AnyEvent]:
    """Notes what is missing, and asks the customer for all of theirs in one message; `ahead` facts come before."""
    state, channel = contact.state, contact.event.channel
    asked = [field for field in wanted if field.when_missing == "ask_customer"]
    reason = _unaskable(state, contact.event, asked, contact.policy) if asked else ""
    delivery = f"{state.id}.{state.head + ahead + len(wanted) + 1}" if asked and not reason else ""
    noted: list[AnyEvent] = [
        FieldMissing(
            at_ms=contact.now_ms,
            actor=SYSTEM,
            policy=contact.policy.version,
            field=field.name,
            interaction=contact.number,
            channel=channel,
            template=template,
            action="ask_agent" if reason else field.when_missing,
            delivery=delivery if field in asked else "",
            reason=reason if field in asked else "",
        )
        for field in wanted
    ]
    if not delivery:
        return noted
    question = _question(contact, asked, delivery)
    return [*noted, question, *attempt_first(state, channel, delivery, contact.now_ms)]


def _question(contact: _Contact, asked: list[Field], delivery: str) -> AnyEvent:
    state, event = contact.state, contact.event
    mail = event.data if event.channel == "email" and isinstance(event.data, MessageArrived) else None
    subject = state.subject or (mail.subject if mail else "")
    return MessageQueued(
        at_ms=contact.now_ms,
        actor=SYSTEM,
        policy=contact.policy.version,
        interaction=contact.number,
        delivery=delivery,
        channel=event.channel,
        account=event.account,
        to=event.identities[0],
        text=_words(asked),
        subject=withholding.subject_for(subject, state.context, event.channel, contact.policy.context),
        references=_references(state, mail) if mail else [],
    )


def _words(asked: list[Field]) -> str:
    return "\n".join(field.question.strip() for field in asked)


def _unaskable(state: Conversation, event: InboundEvent, asked: list[Field], policy: Policy) -> str:
    """Why no question can leave; empty where it can."""
    if not event.identities:
        return "the contact has no address to ask at"
    if not has_room(state):
        return f"{DELIVERIES_MAX} messages of this conversation wait already"
    return accounts.gone(event.account, event.channel, policy) or accounts.too_long(
        _words(asked), event.account, event.channel, policy
    )


def _references(state: Conversation, data: MessageArrived) -> list[str]:
    """The thread so far, as for an agent's reply; it ends with the mail that is answered."""
    return [r for r in dict.fromkeys([*state.references, data.reference]) if "@" in r]
