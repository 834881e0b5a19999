"""Quarantine at the gateway: what of a proven sender is kept when it is refused, and how it comes in after all.

What is kept is what came, in one of four forms that tell themselves apart: a mail as `adapters.channels.email.taking`
keeps it, a CloudEvent (it has `specversion`), an `InboundEvent` as the server writes it, or `{"webhook": …}` with a
vendor's request.
"""

import base64
from typing import Any

import msgspec

from adapters.attachments import AttachmentStore
from adapters.channels.email.taking import is_mail, read_again
from adapters.channels.twilio.inbound import parse_called, parse_form
from orchestrator.gateway.incoming.cloudevents import read_structured, to_inbound
from orchestrator.gateway.peers import Intake
from orchestrator.gateway.services import channel_of
from orchestrator.settings import Account, EmailAccount
from protocol.errors import Code, Refusal
from protocol.faults import invalid_event
from protocol.inbound import InboundEvent
from protocol.links import Answered

KEPT = frozenset(
    {
        Code.INVALID,
        Code.UNKNOWN_TYPE,
        Code.TIME_IMPLAUSIBLE,
        Code.NO_IDENTITY,
        Code.BAD_IDENTITY,
        Code.OVER_LIMIT,
    }
)
"""Refusals of an event itself: sent again it would fail again, so it is kept. Others are the sender's to repeat, or are
kept by the cell already."""

_FIELDS = frozenset(InboundEvent.__struct_fields__)


async def keep(intake: Intake, event: InboundEvent, refusal: Refusal) -> Answered:
    """Puts an event that the intake refused into its account's quarantine, as it came. Raises `Refusal`."""
    return await intake.quarantine(
        account=event.account,
        source=event.source,
        id=event.id,
        refusal=refusal,
        raw=msgspec.json.encode(event),
        event=event,
    )


def quarantine_of(answered: Answered) -> str:
    """The id under which a quarantined input is kept, by the answer that says so."""
    # The event's own place, as `InputQuarantined.quarantine` has it.
    return f"{answered.stream.removeprefix('account:')}.{answered.seq}"


def keep_webhook(*, query: str, body: bytes) -> bytes:
    """A vendor's request, for quarantine."""
    return msgspec.json.encode({"webhook": {"query": query, "body": base64.b64encode(body).decode()}})


def again(row: dict[str, Any], account: Account, attachments: AttachmentStore) -> InboundEvent:
    """The event that a quarantined row holds, as it is to come in now; its files are kept. Blocks: a mail is parsed.

    It keeps its own time; one whose time was the fault, or that has none, gets the time of its arrival. Raises
    `Refusal` where it still does not fit, or the disk does not take its files.
    """
    inbound = _of_account(_read(row, account, attachments), account, row)
    if row["code"] == Code.TIME_IMPLAUSIBLE:
        return msgspec.structs.replace(inbound, time_ms=int(row["received_ms"]))
    return inbound


def edited(row: dict[str, Any], event: bytes, account: Account) -> InboundEvent:
    """The event that somebody wrote in the place of what the row holds: JSON, a CloudEvent or as the server writes
    events. Raises `Refusal` where it does not fit."""
    return _of_account(_of_json(event, account, row), account, row)


def check_places(written: dict[str, Any]) -> None:
    """That nothing somebody writes into an event stands where nobody would look for it. Raises `Refusal`. Not asked of
    what was begun before: that may have come in."""
    if "specversion" in written:
        return
    if unread := sorted(written.keys() - _FIELDS):
        text = f"the event has no field {unread[0]!r}: what a form or a machine sends beside its words stands in `raw`"
        raise Refusal(Code.INVALID, text, field=unread[0][:64])


def _of_account(inbound: InboundEvent, account: Account, row: dict[str, Any]) -> InboundEvent:
    if inbound.account != account.name:
        # An event may say so of itself; the row says by whom it really came.
        raise Refusal(Code.NOT_ALLOWED_NOW, "this input names another account than the one it came by", ref=row["id"])
    return inbound


def _read(row: dict[str, Any], account: Account, attachments: AttachmentStore) -> InboundEvent:
    raw, arrived_ms = bytes(row["raw"]), int(row["received_ms"])
    if isinstance(account, EmailAccount) and is_mail(raw):
        return _of_mail(raw, account, arrived_ms, attachments)
    return _of_json(raw, account, row)


def _of_json(raw: bytes, account: Account, row: dict[str, Any]) -> InboundEvent:
    arrived_ms = int(row["received_ms"])
    try:
        kept = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refusal(
            Code.NOT_ALLOWED_NOW, "this input is of no kind that can be read again; see what it is with `show`"
        ) from exc
    if isinstance(kept, dict) and "specversion" in kept:
        event = read_structured(raw)
        channel = event.attribute("channel", channel_of(account))
        return to_inbound(event, account=account.name, channel=channel, arrived_ms=arrived_ms)
    if isinstance(kept, dict) and "webhook" in kept:
        return _of_webhook(kept["webhook"], account.name, arrived_ms)
    return _of_event(kept, str(row["id"]))


def _of_mail(raw: bytes, account: EmailAccount, arrived_ms: int, attachments: AttachmentStore) -> InboundEvent:
    try:
        mail = read_again(
            raw, account=account.name, address=account.address, arrived_ms=arrived_ms, attachments=attachments
        )
    except OSError as exc:
        reason = f"the attachment folder refused a file ({type(exc).__name__})"
        raise Refusal(Code.UNAVAILABLE, reason) from exc
    return mail.event


def _of_webhook(kept: dict[str, str], account: str, arrived_ms: int) -> InboundEvent:
    form = parse_form(base64.b64decode(kept["body"]))
    return parse_called(form, dict(parse_form(kept["query"].encode())), account=account, arrived_ms=arrived_ms)


def _of_event(kept: Any, ref: str) -> InboundEvent:
    try:
        return msgspec.convert(kept, InboundEvent)
    except msgspec.ValidationError as exc:
        raise invalid_event(exc, ref=ref) from exc
