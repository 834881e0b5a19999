"""Automatic mails: did a person write this, an auto-responder, or a mail system that reports on a mail of ours?

A bounce is believed because it names our delivery, whose id nobody can guess (see `threads`).

Sources: RFC 3834 (automatic responses), RFC 3464 (delivery status), RFC 8098 (read receipts),
https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxcmail/ (X-Auto-Response-Suppress).
"""

import re
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

from adapters.channels.email import headers, mime
from adapters.channels.email.threads import Ours, ours_of

# A field that tells → the values that tell; None: any value does.
_TELLING: dict[str, frozenset[str] | None] = {
    # `list` is left out: people write to lists.
    "Precedence": frozenset({"bulk", "junk", "auto_reply"}),
    "X-Autoreply": None,
    "X-Autorespond": None,
    "X-Autoresponder": None,
    "X-Auto-Reply-From": None,
    "X-Mail-Autoreply": None,
    "X-FC-MachineGenerated": None,
    # A sender that asks for no automatic answers is a machine itself; other values ask for no receipts, as people do
    # too.
    "X-Auto-Response-Suppress": frozenset({"all", "oof", "autoreply"}),
}

# Action of RFC 3464 §2.3.3 → status of our report. `delayed`, `relayed` and `expanded` settle nothing.
_ACTIONS: dict[str, str] = {"failed": "bounced", "delivered": "delivered"}

_RETURNED = frozenset({"message/rfc822", "message/rfc822-headers", "text/rfc822-headers"})
"""Parts that hold the returned mail, or its header."""
_RETURNED_ID = re.compile(r"^[ \t>]*Message-ID:\s*<([^<>\s]{1,256})>", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"\d\.\d{1,3}\.\d{1,3}", re.ASCII)
_TEXT_CHARS_MAX = 64 * 1024
"""Of a bounce's text: the returned header stands within it."""


class Report(NamedTuple):
    """What a mail system says became of a mail of ours. `recipient` is whom it was for, where the report says so."""

    ours: Ours
    status: str
    code: str
    recipient: str


def is_automatic(message: Message, *, sender: str | None, address: str) -> bool:
    """Whether a machine wrote it. `sender` is the envelope's: empty (`MAIL FROM:<>`) for reports and automatic
    answers, None where it is unknown. `address` is ours: a mail from it is our own that came back."""
    if sender == "" or _null_return_path(message):
        return True
    # RFC 3834 §5: every value but `no` means a machine; comments and parameters may follow it.
    if submitted := _word(message, "Auto-Submitted"):
        return submitted != "no"
    return _tells(message) or _is_report(message) or _is_loop(message, address)


def report_of(message: Message, address: str) -> Report | None:
    """What the mail reports of a delivery of ours; None where it reports none."""
    parts = _parts(message)
    for part in parts:
        match mime.media_type(part):
            case "message/delivery-status":
                return _delivery_status(part, _returned(parts, address))
            case "message/disposition-notification":
                return _read_receipt(part, address)
    # Mail systems older than RFC 3464 name the recipients in a field and return the mail in the text.
    failed = headers.addresses(message, "X-Failed-Recipients")
    if failed and (ours := _first_of_ours(_RETURNED_ID.findall(_text(parts)), address) or _returned(parts, address)):
        return Report(ours, "bounced", "", failed[0])
    return None


def recipient_of(message: Message) -> str:
    """Whom an unmatched report is about, where it says so: not the mail system that wrote it."""
    for part in _parts(message):
        if mime.media_type(part) == "message/delivery-status" and (found := _fields(part)["recipient"]):
            return found
    return next(iter(headers.addresses(message, "X-Failed-Recipients")), "")


def _delivery_status(part: Message, ours: Ours | None) -> Report | None:
    fields = _fields(part)
    status = _ACTIONS.get(fields["action"])
    if ours is None or status is None:
        return None
    return Report(ours, status, fields["status"], fields["recipient"])


def _fields(part: Message) -> dict[str, str]:
    """The fields of the first recipient; ours have one. The first block is about the message (RFC 3464 §2.1)."""
    found = {"action": "", "status": "", "recipient": ""}
    for block in mime.children(part):
        if action := _word(block, "Action"):
            status = _STATUS.search(headers.field(block, "Status"))
            to = headers.field(block, "Original-Recipient") or headers.field(block, "Final-Recipient")
            to = to.partition(";")[2].strip().strip("<>")
            found["action"] = action
            found["status"] = status[0] if status else ""
            found["recipient"] = to if headers.is_address(to) else ""
            break
    return found


def _read_receipt(part: Message, address: str) -> Report | None:
    block = _block(part)
    ours = _first_of_ours(headers.ids(block, "Original-Message-ID"), address)
    disposition = headers.field(block, "Disposition").rpartition(";")[2].strip().lower()
    # `displayed` may carry modifiers (`displayed/error`); `deleted` and others say nothing about reading.
    if ours is None or disposition.partition("/")[0] != "displayed":
        return None
    to = headers.field(block, "Final-Recipient").partition(";")[2].strip()
    return Report(ours, "read", "", to if headers.is_address(to) else "")


def _returned(parts: list[Message], address: str) -> Ours | None:
    """The delivery that the returned mail, or its returned header, was."""
    returned = [_block(part) for part in parts if mime.media_type(part) in _RETURNED]
    return _first_of_ours([id for block in returned for id in headers.ids(block, "Message-ID")], address)


def _first_of_ours(ids: list[str], address: str) -> Ours | None:
    return next((ours for id in ids if (ours := ours_of(id, address)) is not None), None)


def _parts(message: Message) -> list[Message]:
    """The parts that may be those of a report: on the first two levels, for some systems wrap it once more."""
    first = _below(message)
    return [message, *first, *(part for above in first for part in _below(above))]


def _below(part: Message) -> list[Message]:
    return mime.children(part) if mime.media_type(part).startswith("multipart/") else []


def _text(parts: list[Message]) -> str:
    return "\n".join(mime.readable((part for part in parts if mime.media_type(part) == "text/plain"), _TEXT_CHARS_MAX))


def _block(part: Message) -> Message:
    """The fields that a part carries as its body. The parser has read those of `message/…` already."""
    for below in mime.children(part):
        return below
    return HeaderParser().parsestr(mime.body(part).decode("ascii", "surrogateescape"), headersonly=True)


def _tells(message: Message) -> bool:
    for name, telling in _TELLING.items():
        value = headers.field(message, name).strip().lower()
        if value and (telling is None or not telling.isdisjoint(re.split(r"[,;\s]+", value))):
            return True
    return False


def _is_report(message: Message) -> bool:
    return mime.media_type(message) == "multipart/report"


def _is_loop(message: Message, address: str) -> bool:
    """Our own mail came back: forwarded to us, or answered by a robot that copies it."""
    ours = address.lower()
    own = any(ours_of(id, address) is not None for id in headers.ids(message, "Message-ID"))
    looped = ours in (found.lower() for found in headers.addresses(message, "X-Loop"))
    return own or looped or ours in (found.lower() for found in headers.addresses(message, "From"))


def _null_return_path(message: Message) -> bool:
    return headers.field(message, "Return-Path").strip() == "<>"


def _word(message: Message, name: str) -> str:
    """The field's first word, in lower case, without comments and parameters."""
    return re.split(r"[;(\s]", headers.field(message, name).strip().lower(), maxsplit=1)[0]
