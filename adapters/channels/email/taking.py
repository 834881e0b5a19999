"""Taking a mail: read, its files kept, whole in quarantine where that fails. The entrance does it, as does a replay.

A mail in quarantine is kept with its envelope's sender on top, as a mailbox would store it (RFC 5321 §4.4):

    Return-Path: <ann@example.org>        what SMTP's MAIL FROM said
    Received: …                           from here on the bytes as they came
"""

import msgspec
from msgspec import Struct

from adapters.attachments import AttachmentStore
from adapters.channels.email import inbound
from protocol.errors import Code, Refusal

INLINE_BYTES_MAX = 256 * 1024
"""A refused mail up to this size goes into quarantine as it is; a larger one as a file that the entry names."""
_TOP, _TOP_END = b"Return-Path: <", b">\r\n"


class Elsewhere(Struct, kw_only=True, frozen=True):
    """What the quarantine has of a large mail: the file that holds it."""

    message_sha256: str
    size_bytes: int


class Incoming:
    """A mail that is to one account or several: it is read once, and each of its files kept once. When it was read for
    as many `accounts`, it lets go what it made of it."""

    def __init__(self, raw: bytes, *, sender: str | None, attachments: AttachmentStore, accounts: int = 1) -> None:
        self.raw = raw
        self._left = accounts
        self._sender = sender
        self._attachments = attachments
        self._opened: inbound.Opened | Refusal | None = None
        self._kept: set[str] = set()

    def read_for(self, *, account: str, address: str, arrived_ms: int) -> inbound.Mail:
        """Reads it as `inbound.parse` does, and keeps its files: what it returns may be submitted.

        Blocks: parsing takes the processor for up to seconds, keeping waits for the disk. Raises `Refusal` for what
        cannot be an event, `OSError` where the disk does not take a file.
        """
        opened = self._open()
        self._left -= 1
        if self._left <= 0:
            self._opened = None
        mail = inbound.event_of(opened, account=account, address=address, arrived_ms=arrived_ms, sender=self._sender)
        for name, body in mail.files.items():
            if name not in self._kept:
                self._attachments.keep(body)
                self._kept.add(name)
        return mail

    def _open(self) -> inbound.Opened:
        # For whoever had not the time to wait for it, a thread may be at it still: both read it then.
        opened = self._opened
        if opened is None:
            try:
                opened = inbound.Opened(self.raw)
            except Refusal as refusal:
                opened = refusal
            self._opened = opened
        if isinstance(opened, Refusal):
            raise opened
        return opened


def kept(raw: bytes, *, sender: str, attachments: AttachmentStore) -> bytes:
    """A refused mail as the quarantine gets it. Blocks; raises as `AttachmentStore.keep` does."""
    whole = _TOP + sender.encode("utf-8", "surrogateescape") + _TOP_END + raw
    if len(whole) <= INLINE_BYTES_MAX:
        return whole
    return msgspec.json.encode(Elsewhere(message_sha256=attachments.keep(whole), size_bytes=len(whole)))


def read_again(
    kept: bytes, *, account: str, address: str, arrived_ms: int, attachments: AttachmentStore
) -> inbound.Mail:
    """Reads what `kept` made, as the mail that came at `arrived_ms`. Blocks, and raises as `Incoming` does; also where
    it is no mail (`NOT_ALLOWED_NOW`) or its file is gone (`NOT_FOUND`)."""
    if not kept.startswith(_TOP):
        kept = attachments.read(_elsewhere(kept).message_sha256)
    sender, found, raw = kept.removeprefix(_TOP).partition(_TOP_END)
    if not found:
        raise Refusal(Code.NOT_ALLOWED_NOW, "this input is no mail that the server kept")
    came = Incoming(raw, sender=sender.decode("utf-8", "surrogateescape"), attachments=attachments)
    return came.read_for(account=account, address=address, arrived_ms=arrived_ms)


def is_mail(kept: bytes) -> bool:
    """Whether `kept` made it. Nothing that JSON begins with does: a mail cannot pass for another kind of input."""
    return kept.startswith((_TOP, b'{"message_sha256":'))


def _elsewhere(kept: bytes) -> Elsewhere:
    try:
        return msgspec.json.decode(kept, type=Elsewhere)
    except msgspec.DecodeError as exc:
        raise Refusal(Code.NOT_ALLOWED_NOW, "this input is no mail that the server kept") from exc
