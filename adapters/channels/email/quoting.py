"""Quoting: a reply's text without the past that its mail program put below, above or between.

mail-parser-reply knows how mail programs of thirteen languages introduce a quote. It is asked for that alone: its
patterns need cubic time in the length of a line, so it sees lines cut short and in small windows, and what becomes of
the lines around a quote is decided here. When in doubt a line stays: too much past costs a glance, a lost answer costs
the customer. Callers keep the whole text as well.
"""

import re

from mailparser_reply import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES

LANGUAGES = [name for name in MAIL_LANGUAGES if len(name) == 2]
"""All languages it knows; longer names are its authors' own mail programs."""
LINES_MAX = 1000
"""Lines searched for the beginning of a quote; whoever writes more above it gets it shown."""
_LINE_CHARS_MAX = 160
"""Characters of a line that are searched: under 1 ms in the worst case, and introductions are shorter."""
_WINDOW, _OVERLAP = 40, 6
"""Lines searched at a time; an introduction has up to six lines (From, Sent, To, Cc, Subject)."""
_FORWARDED = re.compile(
    r"^[- \t>]*(forwarded message|begin forwarded message|weitergeleitete nachricht|message transféré|"
    r"mensaje reenviado|messaggio inoltrato|doorgestuurd bericht)[-: \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_REPLY_SUBJECT = re.compile(r"\s*(re|aw|antw|sv|vs|odp|ref|rif|res|回复|答复|返信)\s*(\[\d+\])?\s*[:：]", re.IGNORECASE)
_RULE = re.compile(r"[-_=*]{5,}([^-_=*]+[-_=*]{5,})?")
"""A ruler, or words between two: "-----Original Message-----"."""
_FIELD = re.compile(r"^[\s*]*\w[\w -]{0,20}[\s*]*[:：]")
_DATE_OR_ADDRESS = re.compile(r"[\d@]")


def is_reply_subject(subject: str) -> bool:
    """Whether the subject says Re: in one of the usual languages."""
    return _REPLY_SUBJECT.match(subject) is not None


def new_words(text: str) -> str:
    """What is new in a reply's text. One that seems to be all past, or that forwards something, is returned whole."""
    if _FORWARDED.search(text):
        return text
    lines = text.split("\n")
    start = _introduction(lines)
    if start is None:
        kept = lines
    elif not any(_is_quoted(line) for line in lines[start:]):
        # A quote without marks, as Outlook makes it: nothing below can be told from it.
        kept = lines[:start]
    else:
        kept = lines[:start] + _after_introduction(lines, start)
    new = _trimmed(_unquoted(kept))
    return new or text


def _introduction(lines: list[str]) -> int | None:
    """The line where the first quote's introduction ("On … Ann wrote:", "From: … Sent: …") begins."""
    parser = EmailReplyParser(languages=list(LANGUAGES))
    for begin in range(0, min(len(lines), LINES_MAX), _WINDOW - _OVERLAP):
        # Runs of blanks cost the library quadratic time.
        window = [" ".join(line[:_LINE_CHARS_MAX].split()) for line in lines[begin : begin + _WINDOW]]
        found = _in_window(parser, window)
        if found is not None and _is_introduction(lines[begin + found :]):
            return begin + found
    return _line_above_quote(lines)


def _is_introduction(lines: list[str]) -> bool:
    """The library also takes "On Monday I wrote:" for one, without a date, and two lines such as "From: Berlin", "To:
    Paris" for the head of a mail; real ones have three."""
    if _is_rule(lines[0]):
        return True
    colon = next((number for number, line in enumerate(lines[:3]) if _ends_with_colon(line)), None)
    if colon is not None and any(_DATE_OR_ADDRESS.search(line) for line in lines[: colon + 1]):
        return True
    return sum(1 for line in lines[:_OVERLAP] if _FIELD.match(line)) >= 3


def _line_above_quote(lines: list[str]) -> int | None:
    """In languages the library does not know: a line with a date or an address and a colon at its end, right above
    the first quoted line."""
    first = next((number for number, line in enumerate(lines) if _is_quoted(line)), 0)
    above = next((number for number in range(first - 1, max(first - 4, -1), -1) if lines[number].strip()), None)
    if above is not None and _ends_with_colon(lines[above]) and _DATE_OR_ADDRESS.search(lines[above]):
        return above
    return None


def _in_window(parser: EmailReplyParser, window: list[str]) -> int | None:
    # Blank lines carry no meaning for an introduction, and runs of them cost the library cubic time.
    kept = [(number, line) for number, line in enumerate(window) if line and not _is_quoted(line)]
    replies = parser.read("\n".join(line for _, line in kept)).replies
    for reply in replies:
        if reply.headers:
            first = reply.headers.split("\n")[0].strip()
            return next((number for number, line in kept if line == first), None)
    return None


def _after_introduction(lines: list[str], start: int) -> list[str]:
    """What follows the introduction, which ends with a colon or before the first quoted line."""
    for number in range(start, min(start + _OVERLAP, len(lines))):
        if _is_quoted(lines[number]):
            return lines[number:]
        if _ends_with_colon(lines[number]):
            return lines[number + 1 :]
    return lines[start + 1 :]


def _unquoted(lines: list[str]) -> list[str]:
    """Drops the quoted lines, unless the answers stand between them and need them to be understood."""
    spoken = [_is_quoted(line) for line in lines if line.strip()]
    runs = sum(1 for before, now in zip([False, *spoken], spoken, strict=False) if now and not before)
    return lines if runs > 1 else [line for line in lines if not _is_quoted(line)]


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _ends_with_colon(line: str) -> bool:
    return line.rstrip().endswith((":", "："))


def _is_rule(line: str) -> bool:
    return _RULE.fullmatch(line[:_LINE_CHARS_MAX].strip()) is not None


def _trimmed(lines: list[str]) -> str:
    """Without blank lines at both ends, and without the ruler that stood above the quote."""
    end = len(lines)
    while end and (not lines[end - 1].strip() or _is_rule(lines[end - 1])):
        end -= 1
    return "\n".join(lines[:end]).strip("\n")
