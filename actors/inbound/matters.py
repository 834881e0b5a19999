"""Matters: whether what two contacts are about is one, by their topics and by the numbers they name. Pure.

A number is a key of `Tags`, `kind:number`. Where two name numbers of several kinds, the kind that stands first in the
taxonomy decides: a customer's two claims are under one contract.
"""

from collections.abc import Sequence

from protocol.entities import Tag, Tags


def same(one: Tag | None, other: Tag | None) -> str:
    """The label that both are; empty where they are not, or one is not known."""
    return one.value if one is not None and other is not None and one.value == other.value else ""


def shared_key(found: Tags, known: Tags) -> str:
    """The number by which both are about one matter; empty where they are not."""
    numbers, rivals = _numbers(found, known)
    return next((number for number in numbers if number in rivals), "")


def one_matter(found: Tags, known: Tags, broad: Sequence[str]) -> str:
    """The number that makes one matter of both; one of a `broad` kind only where no two topics are known."""
    key = shared_key(found, known)
    return "" if key and is_broad(key, broad) and other_topic(found, known) else key


def is_broad(key: str, broad: Sequence[str]) -> bool:
    """Whether the number is of a kind under which several matters go on."""
    return key.partition(":")[0] in broad


def other_key(found: Tags, known: Tags) -> bool:
    """Whether both name matters of one kind, and none in common: two claims."""
    if not found.keys or not known.keys:
        return False
    _, rivals = _numbers(found, known)
    return bool(rivals) and not shared_key(found, known)


def other_topic(found: Tags, known: Tags) -> bool:
    """Whether both topics are known, and two."""
    return found.topic is not None and known.topic is not None and not same(found.topic, known.topic)


def differ(found: Tags, known: Tags | None) -> bool:
    """Whether the one is known to be about something else than the other."""
    return known is not None and (other_topic(found, known) or other_key(found, known))


def spoken(key: str) -> str:
    """As people say it: `claim C123456`."""
    kind, _, number = key.partition(":")
    return f"{kind} {number}"


def _numbers(found: Tags, known: Tags) -> tuple[list[str], list[str]]:
    """The numbers of the first kind that both name, in the taxonomy's order, which `found` has."""
    for kind in dict.fromkeys(key.partition(":")[0] for key in found.keys):
        rivals = [key for key in known.keys if key.partition(":")[0] == kind]
        if rivals:
            return [key for key in found.keys if key.partition(":")[0] == kind], rivals
    return [], []
