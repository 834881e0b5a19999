"""What raw input says: every text that its bytes may hold, in whatever codings they came. For who looks for a name.

    bytes    as they are, and with a coding undone: JSON's escapes, percent-encoding, quoted-printable, Base64;
      │      and so within each of these again
      └─ text    in each charset that fits, or that the input names; with encoded words and HTML's entities undone

Nothing is parsed: what lies in quarantine is there because it could not be, or was over the bounds of what is tried,
and a coding is the same in a mail of a thousand parts as in a form. So each is undone wherever bytes look like it. What
that makes of bytes which only look like it is noise, in which nobody's name stands.

Takes time and memory by the size of the one input, whatever it is made of: up to half a second
and 15 MiB for each MiB of it.
Not looked into are files that are no text, such as `.docx`, `.pdf`, `.zip` and pictures, and uuencode.
"""

import html
import json
import quopri
import re
from binascii import a2b_base64
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from adapters.channels.email import charsets, headers

DEPTH_MAX = 3
"""Codings within codings: a mail attached to a mail, which a form sent in JSON."""
CHARSETS_MAX = 8
"""Charsets that an input names are tried up to so many; a mail names one or two."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{7,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")
"""At least an address's five characters; lines are whole groups of four in every mail (RFC 2045 §6.8)."""
_ESCAPES = re.compile(rb'(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))+')
"""Of JSON (RFC 8259 §7). Side by side, since a letter beyond the first 65,536 takes two."""
_CONTROLS = bytes({*range(1, 32)} - {*b"\t\n\r\f\x1b"})
"""Bytes that no text has, in any charset: without the zeros, which UTF-16 is half of."""
CONTROLS_MIN = 64
"""One control in so many bytes makes a file none to read; compressed ones and pictures have ten times as many."""
ZEROS_MIN = 16
"""One zero in fewer bytes than so many may be UTF-16's; random bytes have one in 256."""
_VALUES = re.compile(rb"=[\w.*+%-]+@?", re.ASCII)
"""Of a form's fields, in which a plus is a blank (https://url.spec.whatwg.org/#urlencoded-serializing)."""
_NAMED = re.compile(rb"""charset[\s*=:"']{1,4}([\w.:-]{2,40})""", re.ASCII | re.IGNORECASE)


def texts(raw: bytes) -> Iterator[str]:
    """Every text that the bytes may hold, one in memory at a time; never raises."""
    named: dict[str, None] = {}
    for blob in _unwrapped(raw, DEPTH_MAX, set()):
        for found in _NAMED.finditer(blob):
            if len(named) < CHARSETS_MAX:
                named[found[1].decode().lower()] = None
        for text in _decoded(blob, [*named]):
            yield text
            if "=?" in text:
                yield headers.words(text)
            if "&" in text:
                yield html.unescape(text)


def _unwrapped(raw: bytes, depth: int, seen: set[int]) -> Iterator[bytes]:
    """The bytes and what is wrapped in them, the outer first."""
    if (mark := hash(raw)) in seen:
        return
    seen.add(mark)
    yield raw
    if depth:
        for undo in (_from_json, unquote_to_bytes, _from_form, quopri.decodestring, _from_base64):
            yield from _unwrapped(undo(raw), depth - 1, seen)


def _from_json(raw: bytes) -> bytes:
    return _ESCAPES.sub(lambda found: json.loads(b'"%s"' % found[0]).encode("utf-8", "replace"), raw)


def _from_form(raw: bytes) -> bytes:
    return unquote_to_bytes(_VALUES.sub(_with_blanks, raw)) if b"+" in raw else raw


def _with_blanks(value: re.Match[bytes]) -> bytes:
    # A form has no `@`: in what looks like a value of one and has it, a plus is a plus.
    return value[0] if value[0].endswith(b"@") else value[0].replace(b"+", b" ")


def _from_base64(raw: bytes) -> bytes:
    """All texts in Base64, one after another, each with an even number of bytes for UTF-16's sake."""
    pieces = (_bytes_of(run) for run in _BASE64.findall(raw))
    return b"\n\n".join(piece + b"\n" * (len(piece) % 2) for piece in pieces if _may_be_text(piece))


def _may_be_text(piece: bytes) -> bool:
    controls = len(piece) - len(piece.translate(None, _CONTROLS))
    # In UTF-16 a letter may have one in it; blanks, full stops and an address's ending have zeros.
    return controls * CONTROLS_MIN <= len(piece) + CONTROLS_MIN or piece.count(0) * ZEROS_MIN > len(piece)


def _bytes_of(run: bytes) -> bytes:
    digits = run.translate(None, b"\r\n=")
    # One digit more than whole groups is no byte; padding that is too much is passed over.
    return a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")


def _decoded(blob: bytes, named: list[str]) -> Iterator[str]:
    first = charsets.decode(blob, "")
    yield first
    if blob.isascii() and not named:
        return
    # Where one part of it is no UTF-8, another is. Latin letters in UTF-16 need no charset's name: `decode` leaves out
    # the zero beside each.
    for text in (blob.decode("utf-8", "replace"), *(charsets.decode(blob, name) for name in named)):
        if text != first:
            yield text
