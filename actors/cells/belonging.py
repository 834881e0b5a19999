"""Belonging: whether a message is for the customer whose cell got it, where merges have been. Pure.

about                               answer
a customer that gave itself away    `Rehomed`; but a repeat of what it did before is answered by itself
a member that has left              `Rehomed`: it has its affairs itself again
something it may not have heard of  the customer is loaded anew, once: then it knows what it has to take in
"""

from actors.cells.live import Message, Promise
from actors.decisions.deciding import TimerDue
from actors.decisions.decision import seen
from actors.identity.members import Family, home_of
from actors.identity.merging import family_of, given_of, kept_by
from actors.state.journey import Journey
from protocol.commands import BeginReplay, EndReplay, MarkReplayed
from protocol.errors import Code, shown
from protocol.ids import conversation_of
from protocol.inbound import DeliveryReport
from protocol.links import (
    Ask,
    Input,
    Outcome,
    Refused,
    Rehomed,
    Settle,
    UnwatchConversation,
    WatchConversation,
)


class Reload(Exception):
    """The message is about something that may have happened and is not known here: the journey has to be loaded anew,
    and stepped with it again."""


def elsewhere(journey: Journey, message: Message, *, checked: bool) -> Rehomed | None:
    """The answer that says where the message belongs; None: here. Raises `Reload`, unless it was loaded anew for this
    message: `checked`."""
    if (left := _with_who_left(journey, message)) is not None:
        return left
    if (given := given_of(journey)) is None:
        return None
    turn = journey.disputes.turn if journey.disputes is not None else 0
    match message:
        case TimerDue() | UnwatchConversation():
            return None
        case Settle(back=True) if not checked and (message.turn == 0 or message.turn > turn):
            raise Reload
        case Ask() if seen(journey, message.key) is not None:
            return None
        case _:
            return Rehomed(message.ref, journey.customer, given.to, turn)


def _with_who_left(journey: Journey, message: Message) -> Rehomed | None:
    """The answer to a message for a member that has left. It stays so if the customer has given itself away since:
    whoever has that one now was not given the member."""
    family = family_of(journey)
    if family is None or not family.left or not (stream := _stream(message)):
        return None
    home = home_of(stream, journey.customer)
    if not _has_left(family, home):
        return None
    assert not isinstance(message, TimerDue | UnwatchConversation)
    other, left = family.left[home]
    return Rehomed(message.ref, other, other, left)


def changed_hands(journey: Journey, conversation: str) -> bool:
    """Whether a conversation that was this customer's is another's now."""
    if given_of(journey) is not None:
        return journey.conversation(conversation) is not None
    family, home = family_of(journey), home_of(conversation, journey.customer)
    return family is not None and _has_left(family, home)


def _has_left(family: Family, home: str) -> bool:
    """Whether that member left, and has not come back."""
    return home in family.left and home not in family.members


def settle(journey: Journey, message: Settle, *, checked: bool) -> Promise | Refused | Rehomed:
    """The answer to whoever wants a give or a release taken in. Raises `Reload` as `elsewhere` does."""
    if message.back:
        return Promise(message.ref, "repeat", journey.customer, journey.head, False)
    family, other = family_of(journey), message.other
    member = family.members.get(other) if family is not None else None
    if member is not None and message.turn <= member.turn:
        return Promise(message.ref, "committed", member.via, member.seq, False)
    with_whom, left = family.left.get(other, ("", 0)) if family is not None else ("", 0)
    if with_whom == other and left >= message.turn > 0:
        return Rehomed(message.ref, other, other, left)
    if not checked:
        raise Reload
    text = f"{shown(other)} is not merged into {shown(journey.customer)}"
    return Refused(message.ref, Code.NOT_ALLOWED_NOW, text, "other")


def _stream(message: Message) -> str:
    """The conversation that a message names by itself, or the customer who keeps the refused input that it does; empty
    where it names none."""
    match message:
        case Ask(command=BeginReplay() | MarkReplayed() | EndReplay() as command):
            return kept_by(command.quarantine)
        case Ask() | WatchConversation() | Outcome():
            return message.conversation
        case Input(event=event) if isinstance(event.data, DeliveryReport):
            return conversation_of(event.data.delivery)
        case _:
            return ""
