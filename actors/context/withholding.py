"""Withholding: what a channel may not carry, and whether a text says it all the same. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from actors.rules.context import ContextRules
from actors.state.context_items import Known, values_of
from protocol.letters import composed

TELLING_MIN = 4
"""Characters of a value that gives something away."""
TELLING_BARE_MIN = 8
"""Letters and digits of a value that is looked for however it is spaced: shorter ones arise where words meet."""


class Secret(Struct, frozen=True):
    """A value that a channel may not carry, as it is looked for in texts."""

    key: str
    spelled: str
    bare: str


def secrets(known: Known, channel: str, rules: ContextRules) -> list[Secret]:
    """What a channel may not carry, without values of fewer than `TELLING_MIN` characters: they are in every text."""
    if channel not in rules.carries:
        return []
    found = []
    for key, item in known.items():
        for value in values_of(item):
            spelled = "" if isinstance(value.value, bool | None) else _folded(str(value.value))
            if len(spelled) >= TELLING_MIN and not rules.may_carry(channel, value.sensitivity):
                found.append(Secret(key, spelled, _bare(spelled)))
    return found


def told(text: str, secrets: Iterable[Secret]) -> str:
    """The key of the first that the text says, however it is spaced; empty where it says none."""
    spelled = _folded(text)
    bare = _bare(spelled)
    for secret in secrets:
        if secret.spelled in spelled or (len(secret.bare) >= TELLING_BARE_MIN and secret.bare in bare):
            return secret.key
    return ""


def subject_for(subject: str, known: Known, channel: str, rules: ContextRules) -> str:
    """The conversation's subject as it may stand over a message there: empty where it says what the channel may not
    carry. Whoever writes the message did not write it, and would see no reason to look."""
    return "" if told(subject, secrets(known, channel, rules)) else subject


def _folded(text: str) -> str:
    """In small letters, each as one however it is encoded: as a letter and a mark, or of full width."""
    return composed(text, "NFKC").casefold()


def _bare(text: str) -> str:
    """Its letters and digits alone: account numbers are written in groups of four, dates with strokes."""
    return "".join(filter(str.isalnum, text))
