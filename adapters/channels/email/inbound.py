"""Inbound: the raw bytes of a mail → an `InboundEvent` and the files that must be stored before it is submitted.

    a person's mail                            MessageArrived
    auto-responder, mail robot, loop           MessageArrived(automatic="auto_reply")
    bounce or receipt of a mail of ours        DeliveryReport

The same bytes give the same event, but for the time of a mail that has no credible Date. Where a reply's new words were
told from its quotes, the whole text is a file as well, and so is a part that says more than the text that was taken.
"""

import hashlib
from email.message import Message
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from adapters.attachments import name_of
from adapters.channels.email import alternatives, automatic, headers, html, mime, quoting
from protocol.errors import Code, Refusal
from protocol.identities import unquoted
from protocol.inbound import (
    ATTACHMENTS_MAX,
    REFERENCES_MAX,
    TEXT_MAX,
    Attachment,
    DeliveryReport,
    InboundEvent,
    MessageArrived,
)

SUBJECT_CHARS_MAX = 500
"""Characters kept of a subject; RFC 5322 §2.1.1 would let it have 998, and no list shows that many."""
DATE_AHEAD_MS = 5 * 60_000
"""A Date further ahead of our clock is a wrong clock's."""
DATE_BEHIND_MS = 30 * 86_400_000
"""A mail waits for days in queues (RFC 5321 §4.5.4.1 gives up after five); one dated a month ago has a wrong clock."""
AUTO_REPLY = "auto_reply"


class Mail(NamedTuple):
    """A mail as the server takes it: `files` maps SHA-256 to bytes, all of which are to be stored first."""

    event: InboundEvent
    files: dict[str, bytes]


class _Words(NamedTuple):
    """What the mail says: all of it, and what is new in it; and whether its HTML, if it has any, was laid out."""

    whole: str
    new: str
    laid_out: bool


def source_of(account: str) -> str:
    """The CloudEvents source of an account's mails."""
    return f"/email/{account}"


def id_of(raw: bytes, message: Message | None = None) -> str:
    """What names the mail: its Message-ID, else the SHA-256 of its bytes."""
    found = headers.ids(message, "Message-ID") if message is not None else []
    return found[0] if found else f"sha256:{hashlib.sha256(raw).hexdigest()}"


class Opened:
    """A mail's parts, for however many accounts it is to: what takes long is done once.

    Raises `Refusal` for what cannot be read: over a bound (`TOO_LARGE`), or broken (`INVALID`).
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.message = mime.read(raw)

    @cached_property
    def said(self) -> tuple[MessageArrived, dict[str, bytes]]:
        """The words as a person's, and their files by hash."""
        files: dict[str, bytes] = {}
        return _message(self.raw, self.message, files=files), files


def parse(raw: bytes, *, account: str, address: str, arrived_ms: int, sender: str | None = None) -> Mail:
    """Reads a mail, as `event_of` does. Raises as that and `Opened` do."""
    return event_of(Opened(raw), account=account, address=address, arrived_ms=arrived_ms, sender=sender)


def event_of(opened: Opened, *, account: str, address: str, arrived_ms: int, sender: str | None = None) -> Mail:
    """What a mail says that came in by `account`, whose address is `address`. `sender` is the envelope's, without angle
    brackets: empty for `MAIL FROM:<>`, None where it is unknown.

    Raises `Refusal` (`NO_IDENTITY`) for one that is from nobody. Never raises anything else, whatever the bytes are.
    """
    raw, message = opened.raw, opened.message
    files: dict[str, bytes] = {}
    data: DeliveryReport | MessageArrived
    if report := automatic.report_of(message, address):
        # Whose it is its delivery says. A mail system that writes about a customer is not the customer.
        identities = [f"mailto:{report.recipient}"] if report.recipient else []
        ours, status = report.ours, report.status
        data = DeliveryReport(delivery=ours.delivery, status=status, code=report.code, digest=ours.digest)
    else:
        by_machine = automatic.is_automatic(message, sender=sender, address=address)
        concerned = automatic.recipient_of(message) if by_machine else ""
        words, files = opened.said
        data = msgspec.structs.replace(words, automatic=AUTO_REPLY) if by_machine else words
        identities = [f"mailto:{concerned or _author(message, sender)}"]
    event = InboundEvent(
        id=id_of(raw, message),
        source=source_of(account),
        time_ms=_time_ms(message, arrived_ms),
        account=account,
        channel="email",
        identities=identities,
        data=data,
        raw=_extras(message),
    )
    return Mail(event, files)


def _message(raw: bytes, message: Message, *, files: dict[str, bytes]) -> MessageArrived:
    """The words, with their files put into `files`."""
    contents = mime.contents(message)
    subject = headers.text(message, "Subject", chars_max=SUBJECT_CHARS_MAX)
    answered = _answered(message)
    words = _words(_bounded(contents.texts), is_reply=bool(answered) or quoting.is_reply_subject(subject))
    return MessageArrived(
        text=words.new[:TEXT_MAX],
        subject=subject,
        attachments=[
            Attachment(
                name=file.name, media_type=file.media_type, size_bytes=len(file.body), sha256=_put(file.body, files)
            )
            for file in _carried(raw, contents, words)
        ],
        reference=id_of(raw, message),
        in_reply_to=answered,
    )


def _bounded(texts: list[mime.Text]) -> list[mime.Text]:
    """So much HTML as is read, of all parts together. Longer HTML is a file as well, see `alternatives`."""
    bounded: list[mime.Text] = []
    left = html.HTML_CHARS_MAX
    for text in texts:
        if text.html:
            text = text._replace(text=text.text[:left])
            left -= len(text.text)
        bounded.append(text)
    return bounded


def _words(texts: list[mime.Text], *, is_reply: bool) -> _Words:
    left, laid_out = html.TAGS_MAX, True
    pieces: list[str] = []
    for text in texts:
        if text.html:
            reading = html.read(text.text, tags_max=left)
            left -= html.tags_of(text.text)
            laid_out = laid_out and reading.laid_out
            pieces.append(reading.text)
        else:
            pieces.append(text.text.strip("\n"))
    whole = "\n\n".join(pieces)
    # A first mail may well begin a line with "From:"; only an answer quotes what it answers.
    return _Words(whole, quoting.new_words(whole) if is_reply else whole, laid_out)


def _carried(raw: bytes, contents: mime.Contents, words: _Words) -> list[mime.File]:
    """The attachments, with what keeps whole that which is cut: the text, what else the mail says, or the list of
    files."""
    files = [*alternatives.saying_more(contents, words.whole, laid_out=words.laid_out), *contents.files]
    is_file = len(contents.texts) == 1 and contents.texts[0].cut
    if not is_file and (words.new.strip() != words.whole.strip() or len(words.new) > TEXT_MAX):
        files = [mime.File("message.txt", "text/plain", words.whole.encode()), *files]
    if len(files) > ATTACHMENTS_MAX:
        files = [*files[: ATTACHMENTS_MAX - 1], mime.File("message.eml", "message/rfc822", raw)]
    return files


def _put(body: bytes, files: dict[str, bytes]) -> str:
    name = name_of(body)
    files[name] = body
    return name


def _author(message: Message, sender: str | None) -> str:
    """Who wrote: From, else Sender, else the envelope's sender. Raises `Refusal` (`NO_IDENTITY`)."""
    for found in (*headers.addresses(message, "From"), *headers.addresses(message, "Sender"), unquoted(sender or "")):
        if headers.is_address(found):
            return found
    raise Refusal(Code.NO_IDENTITY, "the mail has no address in From, Sender or its envelope", field="identities")


def _answered(message: Message) -> list[str]:
    """What it answers, the nearest first: In-Reply-To, then References from its end (RFC 5322 §3.6.4)."""
    found = [*headers.ids(message, "In-Reply-To"), *reversed(headers.ids(message, "References"))]
    return list(dict.fromkeys(found))[:REFERENCES_MAX]


def _time_ms(message: Message, arrived_ms: int) -> int:
    said = headers.date_ms(message)
    if said is None or not arrived_ms - DATE_BEHIND_MS <= said <= arrived_ms + DATE_AHEAD_MS:
        return arrived_ms
    return said


def _extras(message: Message) -> dict[str, Any]:
    """What an operator may want to see and no one branches on; nothing that changes on another way to us."""
    names = ("From", "To", "Cc", "Reply-To", "Date")
    return {name.lower().replace("-", "_"): value for name in names if (value := headers.text(message, name))}
