"""vCons of the past, one a file or a list of them: each becomes a contact as `adapters/past.py` has it. Our own come
back as they were.

Source: draft-ietf-vcon-vcon-core-04, the unsigned form (§4), and what versions before it wrote otherwise.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from adapters.past import BadPast, Contact, Fields, Read, event_of, json_fault_in, time_ms
from adapters.vcon import PURPOSE


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
        contact = _contact(vcon, place)
    except BadPast as bad:
        return str(bad)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        return f"{place}: it does not have the form of a vCon ({type(exc).__name__}: {exc})"
    return contact, contact["messages"]


def _contact(vcon: Fields, place: str) -> Fields:
    """A vCon as a contact: the customer is who has our mark, else the originator of the first dialog.

    When it was is what its dialogs say: a vCon is often made long after the conversation, and a call that was recorded
    has a time though it has no words here. Our own say when the conversation began."""
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
    """Raises `BadPast` for a text whose words stand elsewhere; one without a body has none, which is no fault."""
    for said in dialog:
        if said.get("url") or not isinstance(said.get("body") or "", str):
            raise BadPast(f"{place}: a text has its words not in `body`, as text: put them there")


def _span(dialog: Iterable[Fields], place: str) -> tuple[int, int]:
    """When the dialogs began and ended, in whatever order they stand (-04, §4.3.2); 0 where none says."""
    timed = [said for said in dialog if said.get("start")]
    known = [(time_ms(said["start"], f"{place}: start"), said.get("duration") or 0) for said in timed]
    if not known:
        return 0, 0
    return min(at for at, _ in known), max(round(at + duration * 1000) for at, duration in known)


def _purpose(attachment: Fields) -> Any:
    """What an attachment is for. Until 0.3.0 some wrote it as `type`."""
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
