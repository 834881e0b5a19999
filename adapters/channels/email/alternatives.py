"""Alternatives: what the parts of a mail say that were not taken for its text, and where its links lead.

The parts of `multipart/alternative` ought to say the same (RFC 2046 §5.1.4). Many do not: the plain one is "your mail
program shows no HTML", or lacks a table, or does not say where a link leads. A part that says more than the text that
was taken is kept, as a file of the message.
"""

import html as entities
import re
from collections.abc import Iterator, Set

from adapters.channels.email import html, mime

_WORDS = re.compile(r"\w+")
_LINKS = re.compile(r"""\bhref\s*=\s*["']?((?:https?|mailto):[^"'<>\s]+)""", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_BETWEEN = re.compile(r"""[\s<>"'()\[\]]+""")


def saying_more(contents: mime.Contents, whole: str, *, laid_out: bool = True) -> list[mime.File]:
    """The files of those parts that say more than `whole`, the text that was taken: in words, or in where links lead.
    Of the HTML that `whole` was made of only the links can, unless it was not `laid_out`.

    Of all HTML together `HTML_CHARS_MAX` characters are read, and as much as has `TAGS_MAX` tags of what was not taken;
    a part beyond is kept unread.
    """
    parts = list(_parts(contents))
    if not parts:
        return []  # As for most mails: going through 10 MiB for nothing takes seconds.
    words, places = set(_WORDS.findall(whole.casefold())), {_place(piece) for piece in set(_BETWEEN.split(whole))}
    left, tags_left = html.HTML_CHARS_MAX, html.TAGS_MAX
    files: list[mime.File] = []
    for text, taken in parts:
        if text.html:
            left -= len(text.text)
            tags_left -= 0 if taken else html.tags_of(text.text)
        unread = left < 0 or tags_left < 0 or (text.html and taken and not laid_out)
        if unread or not _links(text) <= places or not (taken or _words(text) <= words):
            name, kind = ("message.html", "text/html") if text.html else ("message.txt", "text/plain")
            files.append(mime.File(name, kind, text.text.encode()))
    return files


def _parts(contents: mime.Contents) -> Iterator[tuple[mime.Text, bool]]:
    """What may say more, and whether it was taken: plain text that was taken is shown as it is; what was cut is a file
    already."""
    yield from ((text, True) for text in contents.texts if text.html and text.text and not text.cut)
    yield from ((text, False) for text in contents.aside if text.text and not text.cut)


def _words(text: mime.Text) -> Set[str]:
    read = html.text_of(text.text) if text.html else text.text
    return set(_WORDS.findall(read.casefold()))


def _links(text: mime.Text) -> Set[str]:
    if not text.html:
        return set()  # Its addresses are words.
    return {_place(entities.unescape(link)) for link in _LINKS.findall(text.text)}


def _place(address: str) -> str:
    """Where an address leads, however it is spelled: texts leave the scheme out, and end a sentence behind it."""
    return _SCHEME.sub("", address, count=1).rstrip(".,;:!?/").casefold()
