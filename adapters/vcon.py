"""vCon: a conversation in the IETF's container for conversations, for other systems.

    messages → dialog (type `text`)      notes, context, files, our own columns → attachments      who → parties

What was said is what was said in the contacts that are the conversation's now, wherever that is journaled; a contact
that was split off, or went to its own customer, takes its words along. A message of ours that surely never left was not
said: it is an attachment, which says so.

Source: draft-ietf-vcon-vcon-core-04, the unsigned form (§4); no parameter is of an extension, so `extensions` and
`critical` are left out. Whoever gives one away signs or encrypts it.
A person is one party for each address, with one `uuid`. What is said to be `secret` is left out. Pure.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from protocol.inbound import ARRIVED

MEDIA_TYPE = "application/vcon"
SYNTAX = "0.4.0"
"""The draft's `vcon` (§4.1.1), which it calls deprecated and wants all the same."""
PURPOSE = "throughline.conversation"
"""Of the attachment that has what a vCon has no place for."""
UNDELIVERED = "throughline.undelivered"
"""Of the attachments that have messages of ours which have not left, or never will."""
_WORDS = frozenset({"MessageReceived", "AutomaticReplyReceived", "MessageQueued"})
_STAYED = {"MessageQueued": "queued", "DeliveryReplayed": "queued", "DeliveryFailed": "waiting", "DeliveryDead": "dead"}
"""The newest facts of a message after which it surely is still here, and its state by them."""
HOST = "throughline.invalid"
"""Stands for our name where the draft makes ids of one: a data folder has none, and may move."""

Fields = Mapping[str, Any]
Files = Callable[[str], bytes | None]
"""A file by its SHA-256; None where it is gone or too large to be sent along."""


class _Parties:
    """Numbers parties in the order in which they first take part."""

    def __init__(self, customer: str) -> None:
        self._customer = customer
        self._indexes: dict[tuple[str, str], int] = {}
        self.listed: list[dict[str, Any]] = []

    def customer(self, identity: str) -> int:
        """The customer at one address."""
        kind, _, value = identity.partition(":")
        party: dict[str, Any] = {"type": "person", "uuid": _uuid_of(self._customer)}
        match kind:
            case "tel" | "mailto" | "sip":
                party[kind] = value
            case _ if identity:
                party |= {"name": identity, "validation": "channel"}
        return self._at(("customer", identity), party)

    def ours(self, actor: str) -> int:
        """An agent, an operator, an account of ours or the system: `agent:ann`, `account:mail`, `system`."""
        kind, _, name = actor.partition(":")
        sort = {"agent": "person", "operator": "person", "account": "organization"}.get(kind, "bot")
        validation = "token" if sort == "person" else "none"
        party = {"type": sort, "uuid": _uuid_of(actor), "name": name or kind, "validation": validation}
        return self._at(("ours", actor), party)

    def of(self, actor: str) -> int:
        """Whoever did something."""
        return self.customer("") if actor in ("customer", "") else self.ours(actor)

    def _at(self, key: tuple[str, str], party: dict[str, Any]) -> int:
        if key not in self._indexes:
            self._indexes[key] = len(self.listed)
            self.listed.append(party)
        return self._indexes[key]


def to_vcon(
    conversation: Fields,
    events: Iterable[Fields],
    files: Files,
    origins: Mapping[str, Iterable[Fields]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The vCon of a conversation's row with its parts (as the archive gives it) and all its events in order; `origins`
    are those of the other conversations from which contacts came, by their ids (the row's `moved` names them)."""
    own = list(events)
    came = {stream: list(theirs) for stream, theirs in origins.items()}
    newest = _newest_of_deliveries([*own, *(event for theirs in came.values() for event in theirs)])
    parties = _Parties(conversation["customer"])
    accounts = {contact["interaction"]: contact["account"] for contact in conversation["interactions"]}
    dialog: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for event in _of_its_contacts(conversation, own, came):
        match event["type"]:
            case "MessageQueued" if (fact := newest[event["delivery"]])["type"] in _STAYED:
                attachments.append(_attached(UNDELIVERED, event, parties, dialog) | _json(_undelivered(event, fact)))
            case "MessageReceived" | "AutomaticReplyReceived" | "MessageQueued":
                dialog.append(_text(event, parties, accounts))
                attachments += _files(event, parties, len(dialog) - 1, files)
            case "NoteAdded":
                note = {"mediatype": "text/plain", "body": event["text"], "encoding": "none"}
                attachments.append(_attached("note", event, parties, dialog) | note)
            case _:
                pass  # What remains of it is in the conversation's own columns.
    if not dialog:
        dialog.append(_placeholder(conversation, parties))
    # Also where another source that said it kept it: the one that stands may not have known better.
    secret = {value["key"] for value in conversation["context_values"] if value["sensitivity"] == "secret"}
    for item in conversation["context"]:
        if item["key"] not in secret:
            body = {name: item[name] for name in ("key", "value", "channel", "interaction", "sensitivity", "version")}
            attachments.append(_attached("context", item, parties, dialog) | _json(body))
    ours = {"at_ms": conversation["opened_at_ms"], "actor": "system"}
    attachments.append(_attached(PURPOSE, ours, parties, dialog) | _json(_columns(conversation)))
    return {
        "vcon": SYNTAX,
        "uuid": vcon_uuid(conversation["conversation"], conversation["opened_at_ms"]),
        "created_at": _date(conversation["opened_at_ms"]),
        "updated_at": _date(conversation["updated_at_ms"]),
        **({"subject": conversation["subject"]} if conversation["subject"] else {}),
        "parties": parties.listed,
        "dialog": dialog,
        "attachments": attachments,
    }


def _of_its_contacts(
    conversation: Fields, own: Sequence[Fields], came: Mapping[str, Sequence[Fields]]
) -> Sequence[Fields]:
    """Its events without the words of contacts that left it, and with those of contacts that came, by their numbers
    here; in the order of time."""
    here = {contact["interaction"] for contact in conversation["interactions"]}
    events = [event for event in own if event["type"] not in _WORDS or event["interaction"] in here]
    numbers = {(row["origin"], row["origin_interaction"]): row["interaction"] for row in conversation["moved"]}
    words = [
        {**event, "interaction": numbers[stream, event["interaction"]]}
        for stream, theirs in came.items()
        for event in theirs
        if event["type"] in _WORDS and (stream, event["interaction"]) in numbers
    ]
    return sorted([*words, *events], key=lambda event: event["at_ms"]) if words else events


def _newest_of_deliveries(events: Iterable[Fields]) -> Mapping[str, Fields]:
    """The newest fact of each message of ours; of one that may have left, the one that says so, unless a person found
    out that it did not."""
    newest: dict[str, Fields] = {}
    for event in events:
        if event["type"] == "FieldMissing" or not (delivery := event.get("delivery")):
            continue
        if event["type"] == "DeliveryConfirmed" and event["status"] not in ARRIVED:
            continue  # That it did not arrive says nothing of whether it left.
        if (
            delivery not in newest
            or newest[delivery]["type"] != "DeliveryUncertain"
            or (event["type"] == "DeliveryDead" and event.get("code") == "not_left")
        ):
            newest[delivery] = event
    return newest


def _undelivered(message: Fields, fact: Fields) -> Fields:
    """What was to be said, and why it was not; `state` as in the outbox."""
    body = {name: message[name] for name in ("delivery", "channel", "to", "text")}
    # One that failed without a time for its next attempt has its turn when the line is free.
    state = "queued" if fact.get("retry_at_ms") == 0 else _STAYED[fact["type"]]
    return body | {"state": state, "reason": fact.get("reason", "")}


def vcon_uuid(conversation: str, opened_at_ms: int) -> str:
    """The same for the same conversation: version 8, as the draft makes it of a time and a host's name, which is ours
    below the conversation's own."""
    digest = int.from_bytes(hashlib.sha1(f"{conversation}.{HOST}".encode(), usedforsecurity=False).digest(), "big")
    high, middle = digest >> (160 - 62), digest & 0xFFF
    return str(uuid.UUID(int=(opened_at_ms & (1 << 48) - 1) << 80 | 8 << 76 | middle << 64 | 2 << 62 | high))


def _text(event: Fields, parties: _Parties, accounts: Mapping[int, str]) -> dict[str, Any]:
    """A message. Who wrote it is the first of its parties, who it was for the second."""
    out = event["type"] == "MessageQueued"
    account = f"account:{event.get('account') or accounts.get(event['interaction'], event['channel'])}"
    customer = parties.customer(event["to"] if out else event["identity"])
    ours = parties.ours(event["actor"] if out else account)
    message_id = event["delivery"] if out else event.get("reference") or event["id"]
    return {
        "type": "text",
        "start": _date(event["at_ms"] if out else event["provider_ms"]),
        "parties": [ours, customer] if out else [customer, ours],
        "mediatype": "text/plain",
        "body": event["text"],
        "encoding": "none",
        "application": event["channel"],
        "message_id": message_id,
    }


def _placeholder(conversation: Fields, parties: _Parties) -> dict[str, Any]:
    """Of a conversation without a word here, such as a call: that it was (§4.3). Attachments have to name a dialog."""
    contact: Fields = next(iter(conversation["interactions"]), {})
    if not contact:
        return {"type": "text", "start": _date(conversation["opened_at_ms"])}
    who = [parties.customer(contact["identity"]), parties.ours(f"account:{contact['account']}")]
    return {
        "type": "recording" if contact["channel"] == "phone" else "text",
        "start": _date(contact["started_at_ms"]),
        "parties": who if contact["direction"] == "inbound" else who[::-1],
        "application": contact["channel"],
    }


def _files(event: Fields, parties: _Parties, dialog: int, files: Files) -> Iterable[dict[str, Any]]:
    for file in event.get("attachments", ()):
        attached = {
            "purpose": "file",
            "start": _date(event["provider_ms"]),
            "party": parties.customer(event["identity"]),
            "dialog": dialog,
            "mediatype": _mediatype(file.get("media_type", "")),
            "filename": file["name"],
        }
        body = files(file["sha256"]) if file.get("sha256") else None
        if body is not None:
            encoded = base64.urlsafe_b64encode(body).rstrip(b"=").decode()  # RFC 7515 §2: without padding.
            attached |= {"body": encoded, "encoding": "base64url"}
        yield attached


def _mediatype(said: str) -> str:
    """§2.2: type "/" subtype, whatever a sender called it."""
    kind, _, sort = said.partition("/")
    return said if kind and sort else "application/octet-stream"


def _attached(purpose: str, said: Fields, parties: _Parties, dialog: Sequence[object]) -> dict[str, Any]:
    """An attachment of the newest message so far, or of the first one that comes: it has to name one (§4.4.4)."""
    return {
        "purpose": purpose,
        "start": _date(said["at_ms"]),
        "party": parties.of(said["actor"]),
        "dialog": max(0, len(dialog) - 1),
    }


def _json(body: Fields) -> dict[str, Any]:
    return {"mediatype": "application/json", "body": body, "encoding": "json"}


def _columns(conversation: Fields) -> dict[str, Any]:
    names = ("conversation", "customer", "status", "queue", "owner", "opened_at_ms", "resolved_at_ms", "closed_at_ms")
    contact = ("interaction", "channel", "account", "identity", "direction", "started_at_ms", "ended_at_ms")
    relation = ("earlier", "kind", "reason")
    return {
        **{name: conversation[name] for name in names},
        "interactions": [{name: row[name] for name in contact} for row in conversation["interactions"]],
        "relations": [{name: row[name] for name in relation} for row in conversation["relations"]],
    }


def _uuid_of(name: str) -> str:
    """One for each participant, whatever the conversation: "static across interactions", as the draft wants it."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name.replace(':', '.')}.{HOST}"))


def _date(at_ms: int) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
