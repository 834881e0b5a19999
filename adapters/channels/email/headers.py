"""Header fields: what a mail's header says, read as far as it can be read, whatever bytes it is made of.

The standard library's modern header classes raise on many a broken field and need quadratic time for others; fields are
therefore taken raw and read here, and what cannot be read counts as missing.

Sources: RFC 5322 (fields, dates, ids), RFC 2047 (encoded words), RFC 6532 (UTF-8 in header fields).
"""

import binascii
import email.utils
import re
from base64 import b64decode
from email.message import Message

from adapters.channels.email.charsets import decode
from protocol.identities import unquoted

FIELD_CHARS_MAX = 16 * 1024
"""Characters of one field that are looked at: 32 references of 256 characters fit."""
ADDRESS_CHARS_MAX = 2048
"""Characters of an address field that are looked at: its parser recurses and is quadratic."""
ID_CHARS_MAX = 256
"""Characters of a Message-ID; real ones have under 150. A longer one counts as missing."""

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=", re.ASCII)
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]{1,64}\?[bBqQ]\?)", re.ASCII)
"""White space between two encoded words is no part of the text (RFC 2047 §6.2)."""
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\"]{1,255}")
_ASIDE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|\([^()]*\)', re.DOTALL)
"""Names in quotes, and comments."""
_BETWEEN = re.compile(r"([,;<>])")
_BRACKETED = re.compile(r"<\s*([^<>\s]{3,320})\s*>")
_ID_IN_BRACKETS = re.compile(rf"<([^<>\s]{{1,{ID_CHARS_MAX}}})>")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, line ends, and marks that turn the direction of writing: `fdp.exe` must not read `exe.pdf`."""


def field(message: Message, name: str) -> str:
    """The first field of that name as it stands, unfolded; empty where there is none. Bytes beyond ASCII are read as
    UTF-8, else as Windows-1252."""
    wanted = name.lower()
    for key, value in message.raw_items():
        if key.lower() == wanted:
            return _as_text(str(value)[:FIELD_CHARS_MAX])
    return ""


def text(message: Message, name: str, *, chars_max: int = 998) -> str:
    """The field as people read it: encoded words decoded, on one line, cut at `chars_max`."""
    return line(words(field(message, name)), chars_max=chars_max)


def addresses(message: Message, name: str) -> list[str]:
    """The mail addresses of the field, in order; what is no `local@domain` is left out, and so are quotes that a local
    part does not need. A name that has an `@` and should stand in quotes, as in `ann@example.org <ann@example.org>`,
    hides no address."""
    value = field(message, name)[:ADDRESS_CHARS_MAX]
    if value.count("(") > 16:
        # The parser recurses into nested comments; nobody's mail program nests them.
        value = value.replace("(", " ").replace(")", " ")
    plain = _ASIDE.sub("", value)
    parts = _BETWEEN.split(plain)
    if any(map(_is_name_with_at, parts, parts[1:])):
        # Of such a name some versions of the standard library make an address, others make nothing of the whole.
        named = zip(parts, [*parts[1:], ""], strict=True)
        value = plain = "".join("" if _is_name_with_at(part, after) else part for part, after in named)
    try:
        pairs = email.utils.getaddresses([value])
    except (ValueError, IndexError, TypeError):
        return []
    found = [bare for _, address in pairs if is_address(bare := unquoted(address))]
    return found or [address for address in _BRACKETED.findall(plain) if is_address(address)]


def _is_name_with_at(part: str, after: str) -> bool:
    return after == "<" and "@" in part


def is_address(value: str) -> bool:
    """Whether the value is `local@domain` in the plain form that all but some museum pieces have."""
    return _ADDRESS.fullmatch(value) is not None and value.isprintable()


def ids(message: Message, name: str) -> list[str]:
    """The Message-IDs of the field, bare, in order. Ids without brackets count where no id has any."""
    value = field(message, name)
    found = _ID_IN_BRACKETS.findall(value)
    if not found:
        found = [word for word in value.split() if "@" in word and len(word) <= ID_CHARS_MAX]
    return [id for id in found if id.isprintable() and "<" not in id and ">" not in id]


def date_ms(message: Message) -> int | None:
    """The Date field, milliseconds since 1970 UTC; None where there is none that can be read."""
    try:
        parsed = email.utils.parsedate_tz(field(message, "Date")[:128])
        return None if parsed is None else int(email.utils.mktime_tz(parsed)) * 1000
    except (ValueError, IndexError, TypeError, OverflowError):
        return None


def words(value: str) -> str:
    """Decodes the encoded words in `value`. Neighbours of one charset are decoded as one, for many a mail program
    cuts a multi-byte character in two."""
    value = _BETWEEN_WORDS.sub(r"\1", value)
    pieces: list[str] = []
    waiting, charset, position = b"", "", 0
    for match in _ENCODED_WORD.finditer(value):
        if match.start() != position or match[1].lower() != charset:
            pieces.append(decode(waiting, charset))
            pieces.append(value[position : match.start()])
            waiting, charset = b"", match[1].lower()
        waiting += _word_bytes(match[2], match[3])
        position = match.end()
    pieces.append(decode(waiting, charset))
    pieces.append(value[position:])
    return "".join(pieces)


def line(value: str, *, chars_max: int) -> str:
    """One printable line of at most `chars_max` characters."""
    return " ".join(_UNSAFE.sub(" ", value).split())[:chars_max]


def _word_bytes(encoding: str, payload: str) -> bytes:
    raw = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    try:
        return b64decode(raw + b"==")
    except binascii.Error:
        return raw


def _as_text(value: str) -> str:
    """The parser hands bytes beyond ASCII on as surrogates; and fields come folded."""
    unfolded = value.replace("\r", "").replace("\n", "")
    if unfolded.isascii():
        return unfolded
    return decode(unfolded.encode("utf-8", "surrogateescape"), "")
