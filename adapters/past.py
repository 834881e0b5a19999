"""Contacts of the past, from the files that other systems export: CSV and JSON lines. They become inbound events.

    CSV          a header, then a message a row; rows of one `id` are one contact
    JSON lines   a contact a line, with its `messages`

A vCon is read into the same fields (`adapters/past_vcon.py`), and goes the same way from there (`event_of`).

Fields: `id`, `identity` (several with spaces between, or a list `identities`), `at`, and, where there are any,
`channel`, `subject`, `queue`, `ended_at`; of a message `at`, `text`, `direction` (`inbound` where nothing is said),
`author`. Times are ISO 8601, without an offset UTC, or milliseconds since 1970. Every fault names its line; one of a
single contact comes in the contact's place, so that all of a file's are told in one go.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from protocol.entities import Direction
from protocol.errors import ThroughlineError
from protocol.faults import json_fault
from protocol.inbound import InboundEvent, PastConversation, PastMessage, WholeNumber

FIELDS = frozenset(
    [
        *("id", "identity", "identities", "channel", "at", "ended_at", "subject", "queue"),
        *("messages", "direction", "author", "text"),
    ]
)
"""Any other is a misspelt one, which would be left out unsaid."""
FIELDS_OF_MESSAGE = frozenset(["at", "text", "direction", "author"])
"""Of one that stands in `messages`."""
FIELD_CHARS_MAX = 16 * 1024 * 1024
"""Of a field of CSV, where the standard library's own bound is below what a message may have: the server says what is
too long, and of which contact."""

Fields = Mapping[str, Any]


class BadPast(ThroughlineError):
    """A file, or one contact of it, cannot be imported: the message says where, what, and what to write."""


Read = InboundEvent | BadPast
"""A contact, or what is wrong with it."""
Contact = tuple[Fields, Sequence[Fields]] | str
"""Its own fields and its messages'; or what is wrong with it, in words."""


def read_csv(lines: Iterable[str], *, account: str, channel: str, source: str) -> Iterator[Read]:
    """A contact for the rows of each `id`. Raises `BadPast` where the file cannot be read on."""
    csv.field_size_limit(FIELD_CHARS_MAX)
    rows = csv.DictReader(lines, strict=True)
    try:
        fields = rows.fieldnames or ()
        _check_header(fields)
        for first, contact in _contacts(rows):
            yield event_of(contact, f"line {first}", account=account, channel=channel, source=source)
    except csv.Error as exc:
        # At the file's end in quotes; what Python says then is "unexpected end of data".
        said = "a quote that opens here or in a line above is not closed" if "end of data" in str(exc) else exc
        raise BadPast(f"line {rows.reader.line_num}: {said}") from exc


def _check_header(fields: Sequence[str]) -> None:
    """Raises `BadPast` for one that a spreadsheet saved otherwise, or that would leave something out."""
    if fields and fields[0].startswith("sep="):
        raise BadPast(f"line 1: {fields[0]!r} is for spreadsheets alone: take the line away")
    if len(fields) == 1 and any(sign in fields[0] for sign in ";\t|"):
        raise BadPast("line 1: fields are separated by commas: save the file so")
    if "" in fields:
        raise BadPast(f"line 1: field {fields.index('') + 1} has no name: give it one, or take the column away")
    _check_known(fields, "line 1")
    if twice := next((name for name in fields if fields.count(name) > 1), ""):
        raise BadPast(f"line 1: there are two fields {twice!r}: of each row one would be left out")


def _contacts(rows: "csv.DictReader[str]") -> Iterator[tuple[int, Contact]]:
    """Contacts, each with the line that its first row ends in. One whose rows do not follow each other is refused as a
    whole, once, where it begins: a part of it taken in now would be another contact than the whole, imported later."""
    runs = list(_runs(rows))
    lines: dict[str, list[int]] = {}
    for first, id, _ in runs:
        lines.setdefault(id, []).append(first)
    for first, id, contact in runs:
        begun, *more = lines[id] if id else [first]
        if more and first == begun:
            also = f"rows of {id!r} stand in line {more[0]} too"
            yield first, f"line {first}: {also}; those of one contact follow each other"
        if not more or isinstance(contact, str):
            yield first, contact


def _runs(rows: "csv.DictReader[str]") -> Iterator[tuple[int, str, Contact]]:
    """Rows that follow each other with one `id`: the line that the first ends in, the id, and what they say."""
    run: list[Fields] = []
    first, last, fault = 0, "", ""
    for row in rows:
        if not any(row.values()):
            continue  # Spreadsheets leave such: where something stood once.
        id = row.get("id") or ""
        if run and id != last:
            yield first, last, fault or (run[0], run)
            run, fault = [], ""
        if not run:
            first, last = rows.line_num, id
        if None in row or None in row.values():
            fault = fault or f"line {rows.line_num}: it has not as many fields as the header"
        run.append(row)
    if run:
        yield first, last, fault or (run[0], run)


def read_json_lines(lines: Iterable[str], *, account: str, channel: str, source: str) -> Iterator[Read]:
    """A contact for each line that is not empty; of two under one id, the first that can be read."""
    begun: dict[str, tuple[str, InboundEvent]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        read = event_of(_of_line(line, place), place, account=account, channel=channel, source=source)
        if not isinstance(read, BadPast):
            first, event = begun.setdefault(read.id, (place, read))
            if read != event:  # The server would keep one of them, which no dry run could tell.
                read = BadPast(f"{place}: {first} has another contact under its id, {read.id!r}: give each its own")
        yield read


def _of_line(line: str, place: str) -> Contact:
    try:
        contact = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as exc:
        return f"{place}: it is no JSON object: {json_fault_in(line, exc)}"
    messages = contact.get("messages", [contact] if contact.get("text") else [])
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return f"{place}: messages must be a list of objects"
    if "messages" not in contact:
        return contact, messages
    if contact.get("text"):
        return f"{place}: text stands beside messages: write it as one of them"
    try:
        for number, message in enumerate(messages, start=1):
            _check_known(message, f"{place}: message {number}", FIELDS_OF_MESSAGE)
    except BadPast as bad:
        return str(bad)
    return contact, messages


def json_fault_in(text: str, exc: Exception) -> str:
    """Why `text` could not be decoded, in words, without repeating any of it."""
    if isinstance(exc, RecursionError):
        return "lists or objects stand too deep in each other"
    return json_fault(text.encode(), exc) if isinstance(exc, msgspec.DecodeError) else str(exc)


def event_of(contact: Contact, place: str, *, account: str, channel: str, source: str) -> Read:
    """The contact as an event; `account` and `source` are every event's, `channel` stands in where it names none."""
    if isinstance(contact, str):
        return BadPast(contact)
    try:
        return _past(*contact, place, account=account, channel=channel, source=source)
    except BadPast as bad:
        return bad


def _check_known(fields: Iterable[str], place: str, known: frozenset[str] = FIELDS) -> None:
    if unknown := sorted(set(fields) - known):
        raise BadPast(f"{place}: there is no field {unknown[0]!r}; known are {', '.join(sorted(known))}")


_BEFORE_A_KIND = re.compile(r"(?<!\s)\s+(?=[^\s:]+:)")
"""From the first of several blanks alone: from each of them it takes time by their square."""


def _past(
    contact: Fields, messages: Iterable[Fields], place: str, *, account: str, channel: str, source: str
) -> InboundEvent:
    _check_known(contact, place)
    identities = contact.get("identities") or contact.get("identity") or ""
    if not isinstance(identities, list):
        # Parted where another kind follows: a number may be written with blanks.
        words = _words(identities, f"{place}: identity").strip()
        identities = _BEFORE_A_KIND.split(words) if words else []
    for field, value in (("id", contact.get("id")), ("identity", identities), ("at", contact.get("at"))):
        if value in (None, "", []):
            raise BadPast(f"{place}: {field} is missing")
    at_ms = time_ms(contact["at"], f"{place}: at")
    past = PastConversation(
        messages=[_message(message, place) for message in messages if message.get("text")],
        subject=_words(contact.get("subject"), f"{place}: subject"),
        queue=_words(contact.get("queue"), f"{place}: queue"),
        ended_ms=time_ms(contact["ended_at"], f"{place}: ended_at") if contact.get("ended_at") else 0,
    )
    return InboundEvent(
        id=_words(contact["id"], f"{place}: id"),
        source=source,
        time_ms=at_ms,
        account=account,
        channel=_words(contact.get("channel"), f"{place}: channel") or channel,
        identities=[_words(identity, f"{place}: identity") for identity in identities],
        data=past,
    )


def _message(message: Fields, place: str) -> PastMessage:
    direction = message.get("direction") or "inbound"
    if direction not in tuple(Direction):
        raise BadPast(f"{place}: direction is {direction!r}; write inbound or outbound")
    return PastMessage(
        at_ms=time_ms(message.get("at") or "", f"{place}: at"),
        text=_words(message["text"], f"{place}: text"),
        direction=Direction(direction),
        author=_words(message.get("author"), f"{place}: author"),
    )


def _words(value: Any, place: str) -> str:
    """A text, or a number as one; empty where there is none. Raises `BadPast` for what is neither."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadPast(f"{place} must be a text")
    return str(value)


def time_ms(value: Any, place: str) -> int:
    """Milliseconds since 1970, from ISO 8601 or such a number. Raises `BadPast` for anything else."""
    if re.fullmatch("[0-9]{9,10}", str(value)):
        raise BadPast(f"{place} is {value}, which seem to be seconds since 1970; write milliseconds: {value}000")
    try:
        if type(value) is int or (isinstance(value, str) and re.fullmatch("[0-9]{9,}", value)):
            return msgspec.convert(int(value), WholeNumber)
        at = datetime.fromisoformat(str(value))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, msgspec.ValidationError) as exc:
        raise BadPast(f"{place} is {str(value)[:40]!r}; write 2026-11-25T08:30:00Z or milliseconds since 1970") from exc
