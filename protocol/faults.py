"""Faults: what is wrong with what came, in words that name the field and never repeat what a customer said."""

import re
from typing import get_args

import msgspec

from protocol.commands import SERVERS_OWN, AnyCommand
from protocol.errors import Code, Refusal
from protocol.inbound import AnyData, InboundEvent
from protocol.open_values import open_fault

NAME_LENGTH_MAX = 48
"""Characters of an unknown `op`, `type` or `do` that a refusal repeats."""
_AT = re.compile(r"^(?P<fault>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_REPEATS = re.compile(
    r"(?P<fault>Invalid value|Invalid enum value|Object contains unknown field) [\"'`](?P<given>.*)[\"'`]", re.DOTALL
)
_PLAIN = re.compile(r"[\w.:-]+", re.ASCII)
_HALF_PAIR = re.compile(
    rb"(?<!\\)(?:\\\\)*"  # An even number of backslashes: else the next one is itself escaped.
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
)
_TAGS = {
    name: ", ".join(
        sorted(str(member.__struct_config__.tag) for member in get_args(union) if member not in SERVERS_OWN)
    )
    for name, union in (("type", AnyData), ("do", AnyCommand))
}
"""Field → the values it may have, where it says which of several types its object is."""


def check_event(event: InboundEvent, *, index: int | None = None) -> Refusal | None:
    """Returns what an event's type cannot say about it: faults of its open values. Every entrance is to ask."""
    if fault := open_fault(event):
        return refusal_of(Code.INVALID, numbered("event", index), *fault, ref=event.id)
    return None


def invalid_event(exc: msgspec.ValidationError, *, ref: str = "", index: int | None = None) -> Refusal:
    """Returns the refusal of an event that failed conversion to `InboundEvent`; `ref` is its id where it has one."""
    return refused(exc, numbered("event", index), ref)


def json_fault(text: bytes, exc: msgspec.DecodeError) -> str:
    """Says what is wrong with JSON that msgspec could not read. Its own text names the fault and the byte's offset and
    never repeats the input, but takes half of a surrogate pair at a string's end for the input's end (0.22)."""
    if _HALF_PAIR.search(text):
        return "a string has half of a surrogate pair (RFC 8259 §8.2); write both \\u escapes, or the character itself"
    return str(exc)


def unreadable(name: str, exc: BaseException, message: bytes) -> Refusal:
    """The refusal of bytes that are no message in `name`, the encoding's."""
    if isinstance(exc, RecursionError):
        return Refusal(Code.TOO_LARGE, "the message is nested too deeply")
    if isinstance(exc, UnicodeDecodeError):
        return Refusal(Code.MALFORMED, "a string of the message is not UTF-8")
    if isinstance(exc, TypeError):
        return Refusal(Code.MALFORMED, "a map of the message has a key that is itself a map")
    if isinstance(exc, msgspec.ValidationError):
        # Its text repeats what it refuses.
        fault = "a value is out of its range"
    elif name == "json" and isinstance(exc, msgspec.DecodeError):
        fault = json_fault(message, exc)
    else:
        fault = str(exc)
    return Refusal(Code.MALFORMED, f"the message is not {name}: {fault}")


def refused(exc: msgspec.ValidationError, place: str, ref: str) -> Refusal:
    """The refusal of what is named by `place`, and failed conversion; `ref` is its id where it has one."""
    fault, field = fault_of(exc)
    code = Code.UNKNOWN_TYPE if fault.startswith("Invalid value") else Code.INVALID
    return refusal_of(code, place, field, fault, ref=ref)


def fault_of(exc: msgspec.ValidationError) -> tuple[str, str]:
    """Returns msgspec's fault and path, see `told`."""
    fault, path = fault_and_path(str(exc))
    return told(fault, path), path


def told(fault: str, path: str) -> str:
    """Msgspec's fault as a refusal may have it. It names types and bounds; of the input it repeats tags, names of an
    enum and unknown fields, which are left out where they are no short plain words."""
    repeats = _REPEATS.fullmatch(fault)
    return f"{repeats['fault']} {named(repeats['given'])}{known_tags(path)}" if repeats else fault


def fault_and_path(text: str) -> tuple[str, str]:
    """Takes msgspec's text apart: what is wrong, and where; an empty path is the whole."""
    match = _AT.match(text)
    assert match, "the expression matches every text"
    return match["fault"], match["path"] or ""


def known_tags(path: str) -> str:
    """What may stand at a path that ends in an event's `type` or a command's `do`, to go on a message with."""
    tags = _TAGS.get(path.rpartition(".")[2], "")
    return tags and f"; known are {tags}"


def refusal_of(code: Code, place: str, field: str, fault: str, *, ref: str = "") -> Refusal:
    """A refusal that names the field, where there is one."""
    return Refusal(code, f"{place}: {field}: {fault}" if field else f"{place}: {fault}", ref=ref, field=field)


def named(name: str) -> str:
    """Returns a tag in quotes where it is a short plain word; anything else may be someone's words and stays out."""
    return repr(name) if len(name) <= NAME_LENGTH_MAX and _PLAIN.fullmatch(name) else "(not a name)"


def numbered(noun: str, index: int | None) -> str:
    """What is at fault, with its place in a list where it stands in one."""
    return noun if index is None else f"{noun} {index}"
