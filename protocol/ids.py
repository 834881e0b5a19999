"""Ids that say where they belong: each begins with the id of what it is part of.

customer      cu + 20 characters
conversation  <customer>-<number>
delivery      <conversation>.<seq of its MessageQueued>

A customer's id begins with the second they first came in, so that ids ascend: rows of new customers are put at the end
of each table and index, beside each other, and not each on a page of its own.
"""

import base64

POLICY = "policy"
"""The pseudo-customer whose stream holds the policy's versions, and nothing else: seq 1 is version 2, since version 1
is what the settings say."""

REPORT = "report"
"""The pseudo-customer whose stream holds the reports on lost context and what became of their findings."""

PSEUDO = frozenset({POLICY, REPORT})
"""Streams of the server's own: nobody's person is in them, and no identity is linked to them."""

ACCOUNT = "account:"
"""How the id of an account's own stream begins: it holds what was refused of that account, and has no conversations."""

RANDOM_BYTES = 8
"""Of a customer's id, behind the time: guessed by nobody, and met twice within one second never."""


def customer_id(now_ms: int, random: bytes) -> str:
    """The id of a customer who is new. The alphabet is RFC 4648's `base32hex`, which keeps the order of the bytes."""
    assert len(random) == RANDOM_BYTES
    begun_s = (now_ms // 1000) & 0xFFFF_FFFF  # In 2106 it begins anew, and only the order suffers.
    return "cu" + base64.b32hexencode(begun_s.to_bytes(4, "big") + random).decode().rstrip("=").lower()


def may_be_customer(id: str) -> bool:
    """Whether it is not the id of a conversation or delivery, which people take for the customer's now and then. An
    account's own stream is loaded as a customer's is, and its name may have a hyphen."""
    return id.startswith(ACCOUNT) or (bool(id) and "-" not in id)


def may_be_person(id: str) -> bool:
    """Whether it may be a customer whom identities are linked to and others merged with: no account's own stream, and
    none of the server's."""
    return may_be_customer(id) and ":" not in id and id not in PSEUDO


def customer_of(conversation: str) -> str:
    """The customer whose conversation it is."""
    return conversation.rpartition("-")[0]


def conversation_of(delivery: str) -> str:
    """The conversation a delivery leaves from."""
    return delivery.rpartition(".")[0]
