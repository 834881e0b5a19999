"""Checks of what agents write in commands: names, texts, reasons. Pure; they raise `Refusal`."""

from typing import Any

from protocol.errors import Code, Refusal
from protocol.inbound import TEXT_MAX

NAME_MAX = 128
"""Characters of a queue's, agent's or context item's name."""
PROVIDER_ID_MAX = 512
"""Characters of a provider's id of a message, as of an event's."""
VALUE_MAX = 4096
"""Characters of a context item's value, and of a handoff's note or reason."""


def check_text(text: str) -> None:
    """Of what is said or noted. Raises `Refusal`."""
    if not text.strip():
        raise Refusal(Code.INVALID, "text is empty", field="text")
    if len(text) > TEXT_MAX:
        raise Refusal(Code.OVER_LIMIT, f"text has at most {TEXT_MAX} characters", field="text")
    _check_whole(text, "text")


def check_words(text: str, field: str) -> None:
    """Of a reason or a handoff's note. Raises `Refusal`."""
    if len(text) > VALUE_MAX:
        raise Refusal(Code.OVER_LIMIT, f"{field} has at most {VALUE_MAX} characters", field=field)
    _check_whole(text, field)


def check_value(value: Any) -> None:
    """Of a context item. Raises `Refusal`."""
    if isinstance(value, str):
        if len(value) > VALUE_MAX:
            raise Refusal(Code.OVER_LIMIT, f"a context value has at most {VALUE_MAX} characters", field="value")
        _check_whole(value, "value")


def _check_whole(text: str, field: str) -> None:
    # SQLite ends a text of JSON there: what follows would be in no view of the archive.
    if "\0" in text:
        raise Refusal(Code.INVALID, f"{field} has a NUL character, which no text has", field=field)


def check_name(value: str, field: str, *, empty: bool = False) -> str:
    """Of a queue, agent, channel or context item; returns it. Raises `Refusal`."""
    if value != value.strip():
        # No policy and no token has such a name: what is moved there would be where nobody looks.
        raise Refusal(Code.INVALID, f"{field} begins or ends with a blank: write it without", field=field)
    if (not value and not empty) or len(value) > NAME_MAX or (value and not value.isprintable()):
        least = "at most" if empty else "1 to"
        raise Refusal(Code.INVALID, f"{field} must have {least} {NAME_MAX} printable characters", field=field)
    return value


def check_provider_id(value: str, field: str) -> str:
    """Of a message, or empty; returns it bare, without a Message-ID's brackets (RFC 5322 §3.6.4). Raises `Refusal`."""
    bare = value.strip().removeprefix("<").removesuffix(">")
    if len(bare) > PROVIDER_ID_MAX or not (bare.isprintable() or not bare):
        raise Refusal(Code.INVALID, f"{field} must have at most {PROVIDER_ID_MAX} printable characters", field=field)
    return bare


def not_now(message: str) -> Refusal:
    """What the state forbids."""
    return Refusal(Code.NOT_ALLOWED_NOW, message)
