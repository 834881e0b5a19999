"""Questions to cells, and the replies: how one is asked again, and whom it is about. Pure."""

from collections.abc import Callable

import msgspec

from protocol.errors import Code, shown
from protocol.ids import PSEUDO, conversation_of, customer_of
from protocol.inbound import DeliveryReport, InboundEvent
from protocol.links import (
    Answered,
    AnyToCell,
    Ask,
    CustomerRead,
    Heard,
    Input,
    ListWatched,
    Moved,
    Outcome,
    ReadCustomer,
    Refused,
    TakersAre,
    Unlinked,
    UnwatchConversation,
    UnwatchList,
    WatchConversation,
    Watched,
    WatchList,
)

Reply = Answered | Refused | Moved | Unlinked | Watched | CustomerRead | ListWatched
"""A cell's, to one question."""
Done = Callable[[Reply], None]
"""Hears the reply, once."""
Asked = dict[int, tuple[AnyToCell, Done]]
"""Questions without an answer, by their refs, in the order of asking."""


def again(question: AnyToCell, ref: int) -> AnyToCell:
    """The question as it is asked of whom it was not, or perhaps not, asked before."""
    if isinstance(question, Input) and question.proposed:
        return msgspec.structs.replace(question, ref=ref, again=True)
    return msgspec.structs.replace(question, ref=ref)


def asked_of(question: AnyToCell, customer: str, ref: int) -> AnyToCell:
    """Both: asked again, and of another customer."""
    return again(put_to(question, customer), ref)


def put_to(question: AnyToCell, customer: str) -> AnyToCell:
    """The question as it is asked of another customer, whose affairs these are."""
    match question:
        case Input():
            return msgspec.structs.replace(question, customer=customer, proposed=False)
        case WatchList() | UnwatchList() | Heard() | TakersAre():
            return question
        case _:
            return msgspec.structs.replace(question, customer=customer)


def named_in(question: AnyToCell) -> str:
    """Whose the conversation was when it began that another customer is asked about; empty where there is none."""
    match question:
        case WatchConversation() | Ask() | Outcome():
            conversation = question.conversation
        case Input(event=event) if isinstance(event.data, DeliveryReport):
            conversation = conversation_of(event.data.delivery)
        case _:
            return ""
    home = customer_of(conversation)
    return home if home != question.customer else ""


def is_hearsay(question: AnyToCell) -> bool:
    """Whether whom it is about was named by whoever asks, so that perhaps there is no such customer."""
    match question:
        case Ask() | Outcome() | WatchConversation() | ReadCustomer():
            return question.customer not in PSEUDO
        case Input():
            return isinstance(question.event.data, DeliveryReport)
        case _:
            return False


def refused_of_nobody(question: AnyToCell, customer: str, ref: int) -> Refused:
    """The answer to hearsay about a customer whom nobody is: by the name that was given."""
    match question:
        case Input(event=InboundEvent(data=DeliveryReport(delivery=delivery))):
            text = f"no message {shown(delivery)} left here: name the `delivery` of a `deliver` frame"
            return Refused(ref, Code.NOT_FOUND, text, "data.delivery")
        case WatchConversation() | Outcome() | Ask() if question.conversation:
            return Refused(ref, Code.NOT_FOUND, f"no conversation {shown(question.conversation)}")
        case _:
            return Refused(ref, Code.NOT_FOUND, f"no customer {shown(customer)}")


def asked_about(asked: tuple[AnyToCell, Done]) -> str | None:
    """Whom a question is about; None for those of a cell as a whole."""
    question, _ = asked
    if isinstance(question, WatchList | UnwatchList | UnwatchConversation | Heard | TakersAre):
        return None
    return question.customer


def about(customer: str, asked: Asked) -> Asked:
    """Those that are about a customer."""
    return {ref: each for ref, each in asked.items() if asked_about(each) == customer}
