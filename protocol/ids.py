"""Ids that say where they belong: each begins with the id of what it is part of.

customer      cu + 16 characters
conversation  <customer>-<number>
delivery      <conversation>.<seq of its MessageQueued>
"""


def customer_of(conversation: str) -> str:
    """The customer whose conversation it is."""
    return conversation.rpartition("-")[0]


def conversation_of(delivery: str) -> str:
    """The conversation a delivery leaves from."""
    return delivery.rpartition(".")[0]
