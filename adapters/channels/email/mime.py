"""MIME: raw bytes → a bounded tree of parts → the texts to read and the files that came along.

Bounds stand before the parser: it is written in Python, needs time for every line times every open multipart, and makes
an object of every part. Nothing here unpacks archives, so what is decoded is never larger than what came in.

Sources: RFC 2045-2049, RFC 2183 (Content-Disposition), RFC 2231 (parameters), RFC 2387 (related).
"""

import email.policy
import mimetypes
import re
from collections.abc import Iterable
from email.generator import BytesGenerator
from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from typing import Any, NamedTuple

from adapters.channels.email import charsets, headers
from protocol.errors import Code, Refusal

HEADER_BYTES_MAX = 128 * 1024
"""Of the mail's own header. Microsoft 365 writes up to some 30 KiB into it."""
FIELDS_MAX = 500
"""Header fields of the mail; real ones have up to some 120."""
HOPS_MAX = 100
"""Received fields: more is a mailing loop (RFC 5321 §6.3)."""
PARTS_MAX = 256
DEPTH_MAX = 24
"""Nested parts; a mail forwarded as an attachment ten times has 20."""
LINES_MAX = 400_000
"""10 MiB of Base64 have 140,000."""
PARAMETERS_CHARS_MAX, PARAMETERS_MAX = 4096, 128
"""Characters of a field with parameters, and semicolons in it: the standard library takes time by their product, at
every look. A file's name of 255 Chinese characters takes 2,300, in pieces of a line each some 40."""
TEXT_BYTES_MAX = 1024 * 1024
"""Of a text that are decoded, as many as what is shown of one may have, four for each character; all of it is a file
then. Some charsets take 0.2 s for each MiB of what is none of theirs."""
TEXTS_BYTES_MAX = 2 * TEXT_BYTES_MAX
"""Of all texts of a mail together, in their order: a plain text and the HTML that says the same."""
NAME_CHARS_MAX = 200
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII)
_PATH_ENDS = re.compile(r"[/\\]")
_WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})


class File(NamedTuple):
    """A file as the mail carries it."""

    name: str
    media_type: str
    body: bytes


class Text(NamedTuple):
    """A piece of what is to be read, decoded: plain or HTML; `cut` where it is the beginning of one of the files."""

    html: bool
    text: str
    cut: bool = False


class Contents(NamedTuple):
    """What a part holds, in the mail's order. `aside` are the alternatives that were not taken."""

    texts: list[Text]
    files: list[File]
    aside: list[Text]


class Part(Message):
    """A part that knows how deep it lies: the parser attaches each part to its parent, and stops at a bound."""

    depth = 0

    def set_raw(self, name: str, value: str) -> None:
        """Called by the parser with each field. Raises `Refusal` (`TOO_LARGE`)."""
        over = len(value) > PARAMETERS_CHARS_MAX or value.count(";") > PARAMETERS_MAX
        if over and name.lower() in _WITH_PARAMETERS:
            bounds = f"{PARAMETERS_CHARS_MAX} characters and {PARAMETERS_MAX} parameters"
            raise Refusal(Code.TOO_LARGE, f"a part's {name.title()} is over its bounds: {bounds}")
        super().set_raw(name, value)

    def get_boundary(self, failobj: Any = None) -> Any:
        """An empty one is none (RFC 2046 §5.1.1): whoever writes the part anew would put a random one in its place."""
        return _plain(self.get_param("boundary", "")).rstrip() or failobj

    def attach(self, payload: Any) -> None:
        """Called by the parser. Raises `Refusal` (`TOO_LARGE`)."""
        payload.depth = self.depth + 1
        if payload.depth > DEPTH_MAX:
            raise Refusal(Code.TOO_LARGE, f"the mail's parts are nested more than {DEPTH_MAX} deep")
        super().attach(payload)


class _FieldsAsTheyStand(email.policy.Compat32):
    """Writes header fields as they were read. The standard library folds them, in time by the square of a field's
    length, which nothing bounds within a part."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """The field in the lines that it came in; their ends are those of the body's, as it is written."""
        lines = value.replace("\r\n", self.linesep)
        return f"{name}: {lines}{self.linesep}".encode("ascii", "surrogateescape")


_AS_THEY_STAND = _FieldsAsTheyStand(max_line_length=None)


def read(raw: bytes) -> Message:
    """The tree of the mail's parts.

    Raises `Refusal`: `TOO_LARGE` over a bound, `INVALID` where the standard library's parser gives up.
    """
    _check_size(raw)
    try:
        message = BytesParser(_counting(PARTS_MAX), policy=email.policy.compat32).parsebytes(raw)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as exc:
        raise Refusal(Code.INVALID, f"the mail's MIME structure cannot be read ({type(exc).__name__})") from exc
    names = [name.lower() for name, _ in message.raw_items()]
    if len(names) > FIELDS_MAX:
        raise Refusal(Code.TOO_LARGE, f"the mail has {len(names)} header fields; {FIELDS_MAX} are allowed")
    if (hops := names.count("received")) > HOPS_MAX:
        raise Refusal(Code.TOO_LARGE, f"the mail has gone through {hops} servers, which is a loop (limit {HOPS_MAX})")
    return message


class _Left:
    """How many bytes of a mail's texts may still be decoded."""

    def __init__(self, texts: int) -> None:
        self.texts = texts


def contents(part: Message) -> Contents:
    """What the part and those below it hold. Of alternatives the plain text is taken, where it says anything; files are
    taken from all of them, for Apple Mail puts attachments into one."""
    return _contents(part, _Left(TEXTS_BYTES_MAX))


def _contents(part: Message, left: _Left) -> Contents:
    kind = media_type(part)
    if not kind.startswith("multipart/"):
        return _leaf(part, kind, left)
    if not part.is_multipart():
        # It names no boundary, or one that never comes: what stands there is still read.
        return _text(part, body(part), left, html=False)
    below = [_contents(child, left) for child in children(part)]
    files, aside = [file for one in below for file in one.files], [text for one in below for text in one.aside]
    if kind == "multipart/alternative":
        taken = _best([one.texts for one in below])
        aside += [text for one in below if one.texts is not taken for text in one.texts]
        return Contents(taken, files, aside)
    return Contents([text for one in below for text in one.texts], files, aside)


def children(part: Message) -> list[Message]:
    """The parts right below; none for a leaf, whose text the standard library would decode as whatever charset it
    names: Punycode takes time by the square of its length, and others of Python's codecs raise."""
    payload: Any = part.get_payload() if part.is_multipart() else []
    return payload if isinstance(payload, list) else []


def media_type(part: Message) -> str:
    """`type/subtype` in lower case; what is not of that form is `application/octet-stream`."""
    try:
        found = part.get_content_type()
    except (ValueError, TypeError, LookupError):
        return "application/octet-stream"
    return found if _MEDIA_TYPE.fullmatch(found) else "application/octet-stream"


def parameter(part: Message, name: str) -> str:
    """A parameter of Content-Type as text; empty where there is none that can be read."""
    try:
        value = part.get_param(name, "")
    except (ValueError, TypeError, LookupError):
        return ""
    return headers.line(_plain(value), chars_max=256)


def body(part: Message) -> bytes:
    """A leaf's bytes, decoded from Base64, quoted-printable or uuencode; as they stand where that fails."""
    try:
        found = part.get_payload(decode=True)
    except (ValueError, TypeError, LookupError):
        found = None
    if isinstance(found, bytes):
        return found
    return source(part)


def source(part: Message) -> bytes:
    """The part as it stands in the mail, written anew: for a message within the message."""
    out = BytesIO()
    try:
        BytesGenerator(out, mangle_from_=False, policy=_AS_THEY_STAND).flatten(part)
    except (ValueError, TypeError, LookupError, AttributeError):
        # A part so broken that it cannot be written: what was written until then, and the mail itself is kept whole.
        return out.getvalue()
    return out.getvalue()


def readable(parts: Iterable[Message], chars_max: int) -> list[str]:
    """The beginnings of text leaves, decoded from their charsets; of all together `TEXTS_BYTES_MAX` bytes."""
    left, texts = TEXTS_BYTES_MAX, list[str]()
    for part in parts:
        # No character has more than four bytes.
        bytes_max = min(4 * chars_max, left)
        own = _Left(bytes_max)
        texts.append(_text(part, body(part), own, html=False).texts[0].text[:chars_max])
        left -= bytes_max - own.texts
    return texts


def _leaf(part: Message, kind: str, left: _Left) -> Contents:
    if kind == "message/rfc822":
        nested = children(part)
        subject = headers.text(nested[0], "Subject", chars_max=80) if nested else ""
        name = _name(part) or safe_name(f"{subject or 'message'}.eml")
        return Contents([], [File(name, kind, source(nested[0]) if nested else b"")], [])
    name, raw = _name(part), body(part)
    if kind in ("text/plain", "text/html") and not name and _disposition(part) != "attachment":
        return _text(part, raw, left, html=kind == "text/html")
    if not raw and not name:
        return Contents([], [], [])
    return Contents([], [File(name or f"attachment{mimetypes.guess_extension(kind) or ''}", kind, raw)], [])


def _text(part: Message, raw: bytes, left: _Left, *, html: bool) -> Contents:
    """What is to be read of it, and the whole as it came where that is only its beginning."""
    charset = parameter(part, "charset")
    bytes_max = min(TEXT_BYTES_MAX, left.texts)
    read = raw if len(raw) <= bytes_max else _beginning(raw, charset, bytes_max)
    left.texts -= len(read)
    text = charsets.decode(read, charset)
    if read is raw:
        return Contents([Text(html, text)], [], [])
    name, kind = ("message.html", "text/html") if html else ("message.txt", "text/plain")
    return Contents([Text(html, text, cut=True)], [File(name, kind, raw)], [])


def _beginning(raw: bytes, charset: str, bytes_max: int) -> bytes:
    """As much as is decoded, to the end of a line: all charsets are there as at the beginning, but for wide ones."""
    line_end = raw.rfind(b"\n", 0, bytes_max) + 1
    if charset.lower().startswith(charsets.WIDE) or not line_end:
        return raw[: bytes_max - bytes_max % 4]
    return raw[:line_end]


def _best(alternatives: list[list[Text]]) -> list[Text]:
    spoken = [texts for texts in alternatives if any(text.text.strip() for text in texts)]
    for texts in spoken:
        if not any(text.html for text in texts):
            return texts
    # The last is the richest (RFC 2046 §5.1.4).
    return spoken[-1] if spoken else []


def _disposition(part: Message) -> str:
    return headers.field(part, "Content-Disposition").partition(";")[0].strip().lower()


def _name(part: Message) -> str:
    try:
        found = part.get_param("filename", "", "content-disposition") or part.get_param("name", "")
    except (ValueError, TypeError, LookupError):
        # Parameters numbered in a way that the standard library cannot sort: the file still counts, without its name.
        return "attachment"
    if isinstance(found, tuple):
        # Not as the standard library reads it, which keeps the name of each charset that a mail makes up.
        name = charsets.decode(found[2].encode("latin-1", "replace"), found[0] or "")
    else:
        name = charsets.decode(found.encode("utf-8", "surrogateescape"), "utf-8")
    # Many programs write an encoded word into the parameter, which RFC 2047 §5 forbids.
    return safe_name(headers.words(name))


def _plain(value: str | tuple[str | None, str | None, str]) -> str:
    """A parameter's value: RFC 2231 gives (charset, language, value), with bytes as the first 256 characters."""
    return value[2] if isinstance(value, tuple) else value


def safe_name(name: str) -> str:
    """The last part of a path, printable, at most `NAME_CHARS_MAX` characters with its ending kept."""
    last = headers.line(_PATH_ENDS.split(name)[-1], chars_max=4096).strip(". ")
    if len(last) <= NAME_CHARS_MAX:
        return last
    stem, dot, ending = last.rpartition(".")
    ending = dot + ending if dot and len(ending) <= 16 else ""
    return (stem or last)[: NAME_CHARS_MAX - len(ending)] + ending


def _counting(parts_max: int) -> Any:
    count = 0

    def make(*, policy: Any) -> Part:
        nonlocal count
        count += 1
        if count > parts_max:
            raise Refusal(Code.TOO_LARGE, f"the mail has more than {parts_max} parts")
        return Part(policy)

    return make


def _check_size(raw: bytes) -> None:
    if (lines := raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")) > LINES_MAX:
        raise Refusal(Code.TOO_LARGE, f"the mail has {lines} lines; {LINES_MAX} are allowed")
    head = raw[: HEADER_BYTES_MAX + 1]
    if len(raw) > HEADER_BYTES_MAX and b"\n\n" not in head and b"\r\n\r\n" not in head and b"\n\r\n" not in head:
        raise Refusal(Code.TOO_LARGE, f"the mail's header has more than {HEADER_BYTES_MAX} bytes")
