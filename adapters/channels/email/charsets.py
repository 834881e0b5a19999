"""Charsets: bytes → text, whatever the mail says it is written in; never raises.

The names that mails use mean more than they say: the WHATWG Encoding Standard (https://encoding.spec.whatwg.org/) lists
how programs read them, and so do we.
"""

import codecs
import encodings
import encodings.aliases
import pkgutil
import re
from collections.abc import Iterator

_READ_AS: dict[str, str] = {
    "iso-8859-1": "windows-1252",
    "latin1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "windows-874",
    "iso-8859-8-i": "iso-8859-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "big5": "big5hkscs",
    "cp-850": "cp850",
    "utf8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    # Half-width katakana come under this name too.
    "iso-2022-jp": "iso2022_jp_ext",
}
"""What a mail says → the codec that reads it: mostly the superset that mail programs write under the old name."""

_NOTHING_SAID = frozenset({"", "ascii", "us-ascii", "unknown-8bit", "x-unknown", "8bit", "binary", "default"})
"""Names that say nothing about the bytes beyond ASCII."""
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})
"""Codecs of Python that turn bytes to text and are no charset; idna takes quadratic time."""

_THERE_ARE = frozenset(module.name for module in pkgutil.iter_modules(encodings.__path__)) | frozenset(
    encodings.aliases.aliases
)
"""Python keeps every name that it was ever asked for, also of a codec that there is not: whoever makes up names fills
the memory."""

WIDE = ("utf-16", "utf-32")
"""Charsets whose letters are of whole groups of two or four bytes, also at the end of a line."""
PIECE_BYTES = 64 * 1024
"""Decoded at a time of what is not of its charset: up to 12 ms in which nothing else runs in the process."""

_UNKEEPABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What no message has on purpose, and what stores or JSON cannot keep."""


def decode(raw: bytes, charset: str) -> str:
    """Reads `raw` as the declared `charset`; where that is unknown or wrong as UTF-8; else with a replacement mark (�)
    for each byte that has no meaning."""
    codec = _codec(charset)
    for name in filter(None, (codec, "utf-8")):
        try:
            return clean(raw.decode(name))
        except (UnicodeError, ValueError):
            continue
    # A named charset was nearly right; with none at all, Windows-1252 is what old programs write.
    return clean(_replaced(raw, codec or "windows-1252"))


def _replaced(raw: bytes, codec: str) -> str:
    """In pieces, but for wide ones, of which a MiB takes 0.1 s at most. What was designated at the beginning, as
    RFC 1557 has it, is so in all of them."""
    if codec.startswith(WIDE):
        return raw.decode(codec, "replace")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    return "".join(map(decoder.decode, _pieces(raw))) + decoder.decode(b"", final=True)


def _pieces(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + PIECE_BYTES] for at in range(0, len(raw), PIECE_BYTES))


def clean(text: str) -> str:
    """The text with line ends as \\n, and without control characters and lone surrogates."""
    return _UNKEEPABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _codec(charset: str) -> str:
    """The codec's name; empty where the mail names no charset that there is."""
    asked = charset.strip(" \t\"'").lower()
    if asked in _NOTHING_SAID:
        return ""
    spelled = encodings.normalize_encoding(_READ_AS.get(asked, asked))
    if spelled not in _THERE_ARE:
        return ""
    try:
        name = codecs.lookup(spelled).name
        # Python also keeps zlib and rot13 among its codecs; using one of these as a charset is a LookupError.
        b"ab".decode(name, "replace")
    except (LookupError, ValueError):
        return ""
    return "" if name.replace("_", "-") in _NO_CHARSETS else name
