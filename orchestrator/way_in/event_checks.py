"""Checks of an inbound event that its types cannot make: lengths, counts, and a time that may be. Pure."""

from collections.abc import Iterator
from typing import assert_never

from protocol.errors import Code, Refusal, shown
from protocol.faults import check_event
from protocol.ids import conversation_of, customer_of
from protocol.inbound import (
    ATTACHMENTS_MAX,
    IDENTITIES_MAX,
    PAST_MESSAGES_MAX,
    REFERENCES_MAX,
    REPORTED,
    TEXT_MAX,
    ActivityArrived,
    AnyData,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
    PastConversation,
)
from protocol.wording import is_digest

ID_MAX = 512
"""Characters of an event's id or source, and of a command's id: a mail's Message-ID is the longest seen (RFC 5322 lines
have 998)."""
CHANNEL_MAX = 64
"""Characters of a channel, as of an account's in the settings."""
LINE_MAX = 4096
"""Characters of what people read in one line, and of a contact's own id: far over the longest that a mail has."""
YEAR_MS = 366 * 86_400_000
"""A refused time that, read as seconds, is this near to now most likely counts seconds; the refusal says so."""


def check_time(event: InboundEvent, arrived_ms: int, *, ahead_ms: int, behind_ms: int) -> None:
    """The event's time may lie `ahead_ms` after its arrival and `behind_ms` before it; the times within a contact of
    the past have only the first bound. Raises `Refusal` (`TIME_IMPLAUSIBLE`)."""
    if isinstance(event.data, PastConversation):
        _check_not_ahead(event.id, event.data, arrived_ms + ahead_ms)
    offset_ms = event.time_ms - arrived_ms
    if offset_ms > ahead_ms or -offset_ms > behind_ms:
        direction = "ahead of" if offset_ms > 0 else "behind"
        in_seconds = abs(event.time_ms * 1000 - arrived_ms) < YEAR_MS
        hint = "; it seems to be in seconds, and `time_ms` counts milliseconds" if in_seconds else ""
        raise Refusal(
            Code.TIME_IMPLAUSIBLE,
            f"the event's time is {abs(offset_ms) // 1000} s {direction} the server's clock{hint}",
            ref=event.id,
            field="time",
        )


def _check_not_ahead(id: str, data: PastConversation, latest_ms: int) -> None:
    times = [("ended_ms", data.ended_ms), *(("messages.at_ms", message.at_ms) for message in data.messages)]
    for field, at_ms in times:
        if at_ms > latest_ms:
            reason = f"data.{field} is {at_ms}, which is ahead of the server's clock: what is past has been"
            raise Refusal(Code.TIME_IMPLAUSIBLE, reason, ref=id, field=f"data.{field}")


def check_form(event: InboundEvent) -> None:
    """Lengths and counts. Raises `Refusal`, which names the field."""
    if not 0 < len(event.id) <= ID_MAX:
        raise _of_wrong_length("id", event)
    if not 0 < len(event.source) <= ID_MAX:
        raise _of_wrong_length("source", event)
    if not 0 < len(event.channel) <= CHANNEL_MAX:
        raise _of_wrong_length("channel", event, CHANNEL_MAX)
    if not event.channel.isprintable():
        raise Refusal(Code.INVALID, "channel has a character that does not print", ref=event.id, field="channel")
    if len(event.identities) > IDENTITIES_MAX:
        raise Refusal(
            Code.OVER_LIMIT, f"an event has at most {IDENTITIES_MAX} identities", ref=event.id, field="identities"
        )
    if isinstance(event.data, MessageArrived):
        _check_message(event.id, event.data)
    _check_lines(event.id, event.data)
    if isinstance(event.data, PastConversation):
        _check_past(event.id, event.time_ms, event.data)
    if isinstance(event.data, DeliveryReport):
        _check_report(event.id, event.data)
    # SQLite ends a JSON text at a NUL: what follows would be in no view of the archive, and not be found.
    if _may_have_nul(event) and (field := next((field for field, text in _texts(event) if "\0" in text), "")):
        raise Refusal(Code.INVALID, f"{field} has a NUL character, which no text has", ref=event.id, field=field)
    if refusal := check_event(event):
        raise refusal


def _may_have_nul(event: InboundEvent) -> bool:
    """False for nearly all events. Most are plain messages, whose texts are searched at once."""
    data = event.data
    if not isinstance(data, MessageArrived) or data.attachments or data.in_reply_to:
        return True
    return "\0" in f"{event.id}{event.source}{event.channel}{data.text}{data.subject}{data.reference}{data.session}"


def _texts(event: InboundEvent) -> Iterator[tuple[str, str]]:
    """What people and the archive read as text, with its path. `raw` and `properties` stay JSON wherever they go."""
    data = event.data
    yield "id", event.id
    yield "source", event.source
    yield "channel", event.channel
    match data:
        case MessageArrived():
            yield "data.text", data.text
            yield "data.subject", data.subject
            yield "data.reference", data.reference
            yield "data.session", data.session
            for reference in data.in_reply_to:
                yield "data.in_reply_to", reference
            for file in data.attachments:
                yield "data.attachments", f"{file.name}{file.media_type}{file.sha256}{file.url}"
        case ActivityArrived():
            yield "data.name", data.name
        case InteractionBegan():
            yield from (("data.session", data.session), ("data.subject", data.subject))
        case InteractionStopped():
            yield from (("data.session", data.session), ("data.reason", data.reason))
        case DeliveryReport():
            yield from (("data.code", data.code), ("data.external_id", data.external_id))
        case PastConversation():
            yield from (("data.subject", data.subject), ("data.queue", data.queue))
            yield from (("data.messages", f"{message.author}{message.text}") for message in data.messages)
        case _:
            assert_never(data)


def _check_message(id: str, data: MessageArrived) -> None:
    if len(data.text) > TEXT_MAX:
        raise _over_limit(id, "text", TEXT_MAX)
    if len(data.attachments) > ATTACHMENTS_MAX:
        raise _over_limit(id, "attachments", ATTACHMENTS_MAX)
    if len(data.in_reply_to) > REFERENCES_MAX:
        raise _over_limit(id, "in_reply_to", REFERENCES_MAX)


def _check_lines(id: str, data: AnyData) -> None:
    match data:
        case MessageArrived():
            lines = {"subject": data.subject, "reference": data.reference, "session": data.session}
            if data.in_reply_to:
                lines["in_reply_to"] = max(data.in_reply_to, key=len)
            if data.attachments:
                lines["attachments"] = max(
                    (t for a in data.attachments for t in (a.name, a.media_type, a.sha256)), key=len
                )
        case ActivityArrived():
            lines = {"name": data.name}
        case InteractionBegan():
            lines = {"session": data.session, "subject": data.subject}
        case InteractionStopped():
            lines = {"session": data.session, "reason": data.reason}
        case _:
            return  # A report is checked as a whole, and what is long in an import of the past comes in.
    for name, text in lines.items():
        if len(text) > LINE_MAX:
            raise _over_limit(id, name, LINE_MAX)


def _check_report(id: str, data: DeliveryReport) -> None:
    if not customer_of(conversation_of(data.delivery)):
        reason = f"delivery {shown(data.delivery)!r} is none of ours: it is the `delivery` of a `deliver` frame"
        raise Refusal(Code.NOT_FOUND, reason, ref=id, field="data.delivery")
    if data.status not in REPORTED:
        raise Refusal(Code.INVALID, f"status is one of {', '.join(REPORTED)}", ref=id, field="data.status")
    if data.digest and not is_digest(data.digest):
        raise Refusal(Code.INVALID, "digest is that of the `deliver` frame, or left out", ref=id, field="data.digest")
    for name, text in (("code", data.code), ("external_id", data.external_id)):
        if len(text) > ID_MAX:
            raise _over_limit(id, name, ID_MAX)


def _check_past(id: str, time_ms: int, data: PastConversation) -> None:
    if len(data.messages) > PAST_MESSAGES_MAX:
        raise _over_limit(id, "messages", PAST_MESSAGES_MAX)
    if any(len(message.text) > TEXT_MAX for message in data.messages):
        raise _over_limit(id, "messages.text", TEXT_MAX)
    times = [("time", time_ms), *(("data.messages.at_ms", message.at_ms) for message in data.messages)]
    for field, at_ms in times:
        if at_ms <= 0:
            reason = f"{field} is {at_ms}, and counts milliseconds since 1970, before which nothing is taken"
            raise Refusal(Code.TIME_IMPLAUSIBLE, reason, ref=id, field=field)


def _of_wrong_length(name: str, event: InboundEvent, most: int = ID_MAX) -> Refusal:
    return Refusal(Code.INVALID, f"{name} must have 1 to {most} characters", ref=event.id[:ID_MAX], field=name)


def _over_limit(id: str, name: str, most: int) -> Refusal:
    return Refusal(Code.OVER_LIMIT, f"{name} is over its limit of {most}", ref=id, field=f"data.{name}")
