"""vCons of the past, one a file or a list of them: each becomes a contact as `adapters/past.py` has it. Our own come
back as they were.

Source: draft-ietf-vcon-vcon-core-04, the unsigned form (§4), and what versions before it wrote otherwise; a party's
`role` is draft-ietf-vcon-cc-extension-01's. What is `null` is not there: some programs write all that there could be.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from adapters.channels.email.html import text_of
from adapters.past import BadPast, Contact, Fields, Read, event_of, json_fault_in, time_ms
from adapters.vcon import PURPOSE

CUSTOMER = "customer"
STAFF = frozenset({"agent", "supervisor", "sme"})
"""Roles of who is no customer; a `thirdparty` may be who called."""


def read_vcons(document: str, *, account: str, channel: str, source: str) -> Iterator[Read]:
    """A contact for each vCon. Raises `BadPast` for what is none, nor a list of them."""
    try:
        decoded = msgspec.json.decode(document, type=dict[str, Any] | list[dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise BadPast(f"it is no vCon: {json_fault_in(document, exc)}") from exc
    for number, vcon in enumerate(decoded if isinstance(decoded, list) else [decoded], start=1):
        place = f"vCon {number}"
        yield event_of(_of_vcon(vcon, place), place, account=account, channel=channel, source=source)


def _of_vcon(vcon: Fields, place: str) -> Contact:
    if "vcon" not in vcon and "parties" not in vcon:
        return f"{place}: it has no `vcon` and no `parties`; open a signed or encrypted one first"
    # `must_support` until 0.3.0. Whoever does not know such an extension must not read the vCon (-04, §4.1.4).
    try:
        if needed := vcon.get("critical") or vcon.get("must_support"):
            return f"{place}: it can only be read by who knows the extension {needed[0]!r}; this import knows none"
        contact = _contact(_filled(vcon, place), place)
    except BadPast as bad:
        return str(bad)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        return f"{place}: it does not have the form of a vCon ({type(exc).__name__}: {exc})"
    return contact, contact["messages"]


def _filled(vcon: Fields, place: str) -> Fields:
    """Without what is `null`. Raises `BadPast` for a list that is none, or has something else than objects in it."""
    there = {name: value for name, value in vcon.items() if value is not None}
    for name in ("parties", "dialog", "attachments"):
        each_of = there.get(name, [])
        if not isinstance(each_of, list) or not all(isinstance(each, dict) for each in each_of):
            raise BadPast(f"{place}: `{name}` must be a list of objects")
        there[name] = [{key: value for key, value in each.items() if value is not None} for each in each_of]
    return there


def _contact(vcon: Fields, place: str) -> Fields:
    """A vCon as a contact: the customer is who has our mark, else who is said to be one, else who spoke first.

    When it was is what its dialogs say: a vCon is often made long after the conversation, and a call that was recorded
    has a time though it has no words here. Our own say when the conversation began."""
    parties, every = vcon["parties"], vcon["dialog"]
    _check_parties(every, len(parties), place)
    dialog = [said for said in every if said.get("type") == "text"]
    _check_has_words(dialog, place)
    begun_ms, ended_ms = _span(every, place)
    ours = _columns(next((a["body"] for a in vcon["attachments"] if _purpose(a) == PURPOSE), {}))
    addresses = [contact["identity"] for contact in ours.get("interactions", ())]
    customer = [index for index, party in enumerate(parties) if _identity(party) in addresses]
    if not addresses:
        customer = _customer(parties, dialog or every)
        addresses = [identity for n in customer if (identity := _identity(parties[n]))]
        if not addresses:
            raise BadPast(f"{place}: party {customer[0]}, the customer, has neither `tel` nor `mailto`")
    if not vcon.get("uuid"):
        raise BadPast(f"{place}: uuid is missing")
    return {
        "id": vcon["uuid"],
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


def _customer(parties: list[Fields], dialog: list[Fields]) -> list[int]:
    """All addresses of the customer: a party each, of one `uuid`. Of several who may be it, who spoke first."""
    speaking = [*map(_originator, dialog), *(n for said in dialog for n in _of(said)), *range(len(parties))]
    roles = [str(party.get("role", "")).lower() for party in parties]
    said = (n for n in speaking if roles[n] == CUSTOMER)
    first = next(said, next((n for n in speaking if roles[n] not in STAFF), speaking[0]))
    same = parties[first].get("uuid")
    return [first, *(n for n, party in enumerate(parties) if n != first and same and party.get("uuid") == same)]


def _check_parties(dialog: Iterable[Fields], count: int, place: str) -> None:
    """Raises `BadPast` where nobody takes part, or a dialog is of a party that there is none of."""
    if not count:
        raise BadPast(f"{place}: it has no `parties`, so nobody is the customer")
    for said in dialog:
        if odd := [n for n in (_originator(said), *_of(said)) if not 0 <= n < count]:
            raise BadPast(f"{place}: a dialog is of party {odd[0]}, and `parties` has {count}, from 0 on")


def _check_has_words(dialog: Iterable[Fields], place: str) -> None:
    """Raises `BadPast` for a text whose words stand elsewhere; one without a body has none, which is no fault."""
    for said in dialog:
        if said.get("url") or not isinstance(said.get("body") or "", str):
            raise BadPast(f"{place}: a text has its words not in `body`, as text: put them there")


def _span(dialog: Iterable[Fields], place: str) -> tuple[int, int]:
    """When the dialogs began and ended, in whatever order they stand (-04, §4.3.2); 0 where none says."""
    timed = [said for said in dialog if said.get("start")]
    known = [(time_ms(said["start"], f"{place}: start"), _seconds(said, place)) for said in timed]
    if not known:
        return 0, 0
    return min(at for at, _ in known), max(round(at + duration * 1000) for at, duration in known)


def _seconds(said: Fields, place: str) -> float:
    """How long a dialog took; 0 where it does not say."""
    try:
        return float(said.get("duration") or 0)
    except (TypeError, ValueError) as exc:
        raise BadPast(f"{place}: duration is {str(said['duration'])[:40]!r}; write a number of seconds") from exc


def _purpose(attachment: Fields) -> Any:
    """What an attachment is for. Until 0.3.0 some wrote it as `type`."""
    return attachment.get("purpose", attachment.get("type"))


def _columns(body: Fields | str) -> Fields:
    """A JSON body: a value since -04, text before."""
    return msgspec.json.decode(body, type=dict[str, Any]) if isinstance(body, str) else body


def _body(said: Fields) -> str:
    """The words of a text, without HTML's tags. Until 0.3.0 its `mediatype` was its `mimetype`."""
    text = _decoded(said)
    sort = str(said.get("mediatype", said.get("mimetype", ""))).lower()
    return text_of(text) if sort.startswith("text/html") else text


def _decoded(said: Fields) -> str:
    """A body as it is, or Base64url with or without padding (-04, §2.3.2)."""
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
    return next(iter(_numbers(said.get("originator", said.get("parties", 0)))), 0)


def _of(said: Fields) -> list[int]:
    """Who takes part in a dialog."""
    return list(_numbers(said.get("parties", [])))


def _numbers(parties: Any) -> Iterator[int]:
    """Of parties: one, or a list, in which there may be lists (of those who share a channel of a recording)."""
    if not isinstance(parties, list):
        yield int(parties)
        return
    for each in parties:
        yield from _numbers(each)


def _identity(party: Fields) -> str:
    for kind in ("tel", "mailto", "sip"):
        if value := party.get(kind):
            return f"{kind}:{str(value).removeprefix(f'{kind}:')}"
    name = str(party.get("name", ""))
    return name if party.get("validation") == "channel" and ":" in name else ""
