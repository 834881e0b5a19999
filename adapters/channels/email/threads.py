"""Threads: a mail of ours carries its delivery's id in its Message-ID, so that answers and bounces find back.

    <cu2jx…-3.17.5f0c21d8@support.example>    `<delivery>.<digest>@<domain of the account's address>`

A delivery's id holds 16 random characters: whoever names one has seen a mail of that conversation. The digest is of
what the mail says and to whom: a server that was restored from a backup gives the ids of what it lost once more, and
mail systems keep one of two mails with the same Message-ID. Mails of earlier versions had none.
"""

import re
from typing import NamedTuple

from protocol.links import Attempt
from protocol.wording import digest_of

_DELIVERY = re.compile(r"(cu[0-9A-Za-z]{1,32}-[0-9]{1,12}\.[0-9]{1,12})(?:\.([0-9a-f]{8}))?", re.ASCII)
_ID = re.compile(r"[!-;=?-~]{1,256}", re.ASCII)
"""What may stand between the angle brackets of a mail that we send: printable ASCII without spaces and brackets."""


def domain_of(address: str) -> str:
    """The part after the @, in lower case."""
    return address.rpartition("@")[2].lower()


def message_id(attempt: Attempt, address: str) -> str:
    """The bare Message-ID of a delivery that leaves from `address`: the same in every attempt."""
    digest = digest_of(attempt.to, attempt.subject, attempt.text)
    return f"{attempt.delivery}.{digest}@{domain_of(address)}"


class Ours(NamedTuple):
    """What a Message-ID of ours says; the digest is empty in mails of earlier versions."""

    delivery: str
    digest: str


def ours_of(message_id: str, address: str) -> Ours | None:
    """The delivery that a Message-ID names, and what it said; None where it is none of ours."""
    local, _, domain = message_id.rpartition("@")
    if domain.lower() == domain_of(address) and (ours := _DELIVERY.fullmatch(local)):
        return Ours(ours[1], ours[2] or "")
    return None


def sound(message_id: str) -> bool:
    """Whether the id can be written into a header as it is."""
    return _ID.fullmatch(message_id) is not None
