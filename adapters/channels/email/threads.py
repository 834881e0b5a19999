"""Threads: a mail of ours carries its delivery's id in its Message-ID, so that answers and bounces find back.

    <cu2jx…-3.17@support.example>    `<delivery>@<domain of the account's address>`

A delivery's id holds 16 random characters: whoever names one has seen a mail of that conversation.
"""

import re

_DELIVERY = re.compile(r"cu[0-9A-Za-z]{1,32}-[0-9]{1,12}\.[0-9]{1,12}", re.ASCII)
_ID = re.compile(r"[!-;=?-~]{1,256}", re.ASCII)
"""What may stand between the angle brackets of a mail that we send: printable ASCII without spaces and brackets."""


def domain_of(address: str) -> str:
    """The part after the @, in lower case."""
    return address.rpartition("@")[2].lower()


def message_id(delivery: str, address: str) -> str:
    """The bare Message-ID of a delivery that leaves from `address`: the same in every attempt."""
    return f"{delivery}@{domain_of(address)}"


def delivery_of(message_id: str, address: str) -> str:
    """The delivery that a Message-ID names; empty where it is none of ours."""
    local, _, domain = message_id.rpartition("@")
    if domain.lower() == domain_of(address) and _DELIVERY.fullmatch(local):
        return local
    return ""


def sound(message_id: str) -> bool:
    """Whether the id can be written into a header as it is."""
    return _ID.fullmatch(message_id) is not None
