"""Threads: a mail of ours carries its delivery's id in its Message-ID, so that answers and bounces find back.

    <cu2jx…-3.17.5f0c21d8@support.example>    `<delivery>.<digest>@<domain of the account's address>`

A delivery's id holds 16 random characters: whoever names one has seen a mail of that conversation. The digest is of
what the mail says and to whom: a server that was restored from a backup gives the ids of what it lost once more, and
mail systems keep one of two mails with the same Message-ID. Mails of earlier versions had none.
"""

import re
from hashlib import sha256

from protocol.links import DeliverNow

_DELIVERY = re.compile(r"(cu[0-9A-Za-z]{1,32}-[0-9]{1,12}\.[0-9]{1,12})(?:\.[0-9a-f]{8})?", re.ASCII)
_ID = re.compile(r"[!-;=?-~]{1,256}", re.ASCII)
"""What may stand between the angle brackets of a mail that we send: printable ASCII without spaces and brackets."""


def domain_of(address: str) -> str:
    """The part after the @, in lower case."""
    return address.rpartition("@")[2].lower()


def message_id(delivery: DeliverNow, address: str) -> str:
    """The bare Message-ID of a delivery that leaves from `address`: the same in every attempt."""
    said = "\0".join((delivery.to, delivery.subject, delivery.text)).encode("utf-8", "surrogatepass")
    return f"{delivery.delivery}.{sha256(said).hexdigest()[:8]}@{domain_of(address)}"


def delivery_of(message_id: str, address: str) -> str:
    """The delivery that a Message-ID names; empty where it is none of ours."""
    local, _, domain = message_id.rpartition("@")
    if domain.lower() == domain_of(address) and (ours := _DELIVERY.fullmatch(local)):
        return ours[1]
    return ""


def sound(message_id: str) -> bool:
    """Whether the id can be written into a header as it is."""
    return _ID.fullmatch(message_id) is not None
