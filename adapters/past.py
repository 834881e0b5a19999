"""Contacts of the past, from the files that other systems export: CSV, JSON lines, vCon. They become inbound events.

    CSV          a header, then a message a row; rows of one `id` are one contact
    JSON lines   a contact a line, with its `messages`
    vCon         one a file, or a list of them; each is a contact, and our own come back as they were

Fields: `id`, `identity` (several with spaces between, or a list `identities`), `at`, and, where there are any,
`channel`, `subject`, `queue`, `ended_at`; of a message `at`, `text`, `direction` (`inbound` where nothing is said),
`author`. Times are ISO 8601, without an offset UTC, or milliseconds since 1970. Every fault names its line; one of a
single contact comes in the contact's place, so that all of a file's are told in one go.
"""

import base64
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.vcon import PURPOSE
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
        if len(fields) == 1 and (";" in fields[0] or "\t" in fields[0]):
            raise BadPast("line 1: fields are separated by commas: save the file so")
        _check_known(fields, "line 1")
        if twice := next((name for name in fields if fields.count(name) > 1), ""):
            raise BadPast(f"line 1: there are two fields {twice!r}: of each row one would be left out")
        for first, contact in _contacts(rows):
            yield _event(contact, f"line {first}", account=account, channel=channel, source=source)
    except csv.Error as exc:
        raise BadPast(f"line {rows.reader.line_num}: {exc}") from exc


def _contacts(rows: "csv.DictReader[str]") -> Iterator[tuple[int, Contact]]:
    """Contacts, each with the line that its first row ends in. Of one whose rows stand apart no part is a contact: half
    of it would be taken in, and the whole be another one than that. It is told once, where it begins."""
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
    """A contact for each line that is not empty."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"line {number}"
            yield _event(_of_line(line, place), place, account=account, channel=channel, source=source)


def _of_line(line: str, place: str) -> Contact:
    try:
        contact = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as exc:
        return f"{place}: it is no JSON object: {_json_fault(line, exc)}"
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


def _json_fault(text: str, exc: Exception) -> str:
    return json_fault(text.encode(), exc) if isinstance(exc, msgspec.DecodeError) else str(exc)


def read_vcons(document: str, *, account: str, channel: str, source: str) -> Iterator[Read]:
    """A contact for each vCon. Raises `BadPast` for what is none, nor a list of them."""
    try:
        decoded = msgspec.json.decode(document, type=dict[str, Any] | list[dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise BadPast(f"it is no vCon: {_json_fault(document, exc)}") from exc
    for number, vcon in enumerate(decoded if isinstance(decoded, list) else [decoded], start=1):
        place = f"vCon {number}"
        yield _event(_of_vcon(vcon, place), place, account=account, channel=channel, source=source)


def _of_vcon(vcon: Fields, place: str) -> Contact:
    if "vcon" not in vcon and "parties" not in vcon:
        return f"{place}: it has no `vcon` and no `parties`; open a signed or encrypted one first"
    # `must_support` until 0.3.0. Who does not know such an extension must not read the vCon (-04, §4.1.4).
    try:
        if needed := vcon.get("critical") or vcon.get("must_support"):
            return f"{place}: it can only be read by who knows the extension {needed[0]!r}; this import knows none"
        contact = _contact(vcon, place)
    except BadPast as bad:
        return str(bad)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        return f"{place}: it does not have the form of a vCon ({type(exc).__name__}: {exc})"
    return contact, contact["messages"]


def _contact(vcon: Fields, place: str) -> Fields:
    """A vCon as a contact: the customer is who has our mark, else the originator of the first dialog.

    A vCon is often made long after the conversation, and a recording in it is of a call that has no words here: when it
    was its dialogs say. Of ours it is the conversation's own time."""
    parties, every = vcon["parties"], [*vcon.get("dialog", ())]
    dialog = [said for said in every if said.get("type") == "text"]
    _check_has_words(dialog, place)
    begun_ms, ended_ms = _span(every, place)
    ours = _columns(next((a["body"] for a in vcon.get("attachments", ()) if _purpose(a) == PURPOSE), {}))
    addresses = [contact["identity"] for contact in ours.get("interactions", ())]
    customer = [index for index, party in enumerate(parties) if _identity(party) in addresses]
    if not addresses:
        first = _originator((dialog or every)[0]) if every else 0
        same = parties[first].get("uuid")
        customer = [n for n, party in enumerate(parties) if n == first or (same and party.get("uuid") == same)]
        addresses = [identity for n in customer if (identity := _identity(parties[n]))]
    return {
        "id": vcon.get("uuid", ""),
        "identities": list(dict.fromkeys(addresses)),
        "channel": dialog[0].get("application", "") if dialog else "",
        "at": (vcon.get("created_at", "") if ours else "") or begun_ms or vcon.get("created_at", ""),
        "ended_at": ended_ms,
        "subject": vcon.get("subject", ""),
        "queue": ours.get("queue", ""),
        "messages": [
            _message_of(said, parties, customer, vcon.get("created_at") or begun_ms)
            for said in dialog
            if isinstance(said.get("body"), str)
        ],
    }


def _check_has_words(dialog: Iterable[Fields], place: str) -> None:
    """A text without a body is a contact of which there are no words; one whose words stand elsewhere has some."""
    for said in dialog:
        if said.get("url") or not isinstance(said.get("body") or "", str):
            raise BadPast(f"{place}: a text has its words not in `body`, as text: put them there")


def _span(dialog: Iterable[Fields], place: str) -> tuple[int, int]:
    """When the dialogs began and ended, in whatever order they stand (-04, §4.3.2); 0 where none says."""
    timed = [said for said in dialog if said.get("start")]
    known = [(_time(said["start"], f"{place}: start"), said.get("duration") or 0) for said in timed]
    if not known:
        return 0, 0
    return min(at for at, _ in known), max(round(at + duration * 1000) for at, duration in known)


def _purpose(attachment: Fields) -> Any:
    """Until 0.3.0 some wrote it as `type`."""
    return attachment.get("purpose", attachment.get("type"))


def _columns(body: Fields | str) -> Fields:
    """A JSON body: a value since -04, text before."""
    return msgspec.json.decode(body, type=dict[str, Any]) if isinstance(body, str) else body


def _body(said: Fields) -> str:
    """The words of a text: as they are, or Base64url with or without padding (-04, §2.3.2)."""
    if said.get("encoding") not in ("base64url", "base64"):
        return str(said["body"])
    encoded = said["body"].rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as exc:
        raise TypeError(f"a body said to be {said['encoding']} is not") from exc


def _message_of(said: Fields, parties: list[Fields], customer: list[int], created_at: str | int) -> Fields:
    speaker = _originator(said)
    theirs = speaker in customer
    author = "" if theirs else parties[speaker].get("name", "")
    direction = "inbound" if theirs else "outbound"
    # Where it is not known when (-04, §4.3.2), it was when the conversation was.
    at = said.get("start") or created_at
    return {"at": at, "text": _body(said), "direction": direction, "author": author}


def _originator(said: Fields) -> int:
    """The first of a dialog's parties, where it does not say (draft-ietf-vcon-vcon-core-04, Dialog Object)."""
    parties = said.get("originator", said.get("parties", 0))
    while isinstance(parties, list):
        parties = parties[0]
    return int(parties)


def _identity(party: Fields) -> str:
    for kind in ("tel", "mailto", "sip"):
        if value := party.get(kind):
            return f"{kind}:{str(value).removeprefix(f'{kind}:')}"
    name = str(party.get("name", ""))
    return name if party.get("validation") == "channel" and ":" in name else ""


def _event(contact: Contact, place: str, *, account: str, channel: str, source: str) -> Read:
    if isinstance(contact, str):
        return BadPast(contact)
    try:
        return _past(*contact, place, account=account, channel=channel, source=source)
    except BadPast as bad:
        return bad


def _check_known(fields: Iterable[str], place: str, known: frozenset[str] = FIELDS) -> None:
    if unknown := sorted(set(fields) - known):
        raise BadPast(f"{place}: there is no field {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _past(
    contact: Fields, messages: Iterable[Fields], place: str, *, account: str, channel: str, source: str
) -> InboundEvent:
    _check_known(contact, place)
    identities = contact.get("identities") or contact.get("identity") or ""
    if not isinstance(identities, list):
        identities = _words(identities, f"{place}: identity").split()
    for field, value in (("id", contact.get("id")), ("identity", identities), ("at", contact.get("at"))):
        if value in (None, "", []):
            raise BadPast(f"{place}: {field} is missing")
    at_ms = _time(contact["at"], f"{place}: at")
    past = PastConversation(
        messages=[_message(message, place) for message in messages if message.get("text")],
        subject=_words(contact.get("subject"), f"{place}: subject"),
        queue=_words(contact.get("queue"), f"{place}: queue"),
        ended_ms=_time(contact["ended_at"], f"{place}: ended_at") if contact.get("ended_at") else 0,
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
        at_ms=_time(message.get("at") or "", f"{place}: at"),
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


def _time(value: Any, place: str) -> int:
    try:
        if type(value) is int or (isinstance(value, str) and re.fullmatch("[0-9]{9,}", value)):
            return msgspec.convert(int(value), WholeNumber)
        at = datetime.fromisoformat(str(value))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, msgspec.ValidationError) as exc:
        raise BadPast(f"{place} is {str(value)[:40]!r}; write 2026-11-25T08:30:00Z or milliseconds since 1970") from exc
