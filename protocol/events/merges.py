"""Merges: a customer becomes a member of another, and leaves again; in the streams of both."""

from protocol.entities import IdentityLink
from protocol.events.event import Event


class CustomerGiven(Event, kw_only=True, frozen=True, tag="CustomerGiven"):
    """The customer is one person with `to`, whose affairs these are from here on: its conversations keep their ids, and
    what happens in them is decided there. Nothing follows in this stream until it is returned."""

    to: str
    turn: int
    """Counts the customer's gives and releases from 1: odd ones are gives."""
    members: list[str] = []
    """Whose conversations go along: its own, and those of customers that were merged into it before."""
    reason: str = ""


class CustomerMerged(Event, kw_only=True, frozen=True, tag="CustomerMerged"):
    """`other` gave itself to this customer: from here on its conversations, identities and past are this one's too."""

    other: str
    turn: int
    given_at: int
    """The journal's position of its `CustomerGiven`."""
    members: list[str] = []
    identities: list[str] = []
    """Those that came along."""
    reason: str = ""


class CustomerReleased(Event, kw_only=True, frozen=True, tag="CustomerReleased"):
    """`other` is not the same person after all: it leaves with its conversations and identities. Interactions that were
    mixed have been moved by the events before this one, each to where its own identity belongs."""

    other: str
    turn: int
    members: list[str] = []
    """Whose conversations leave."""
    links: list[IdentityLink] = []
    """The identities that leave, as they are linked now."""
    inherited: dict[str, bytes] = {}
    """By customer: the once-keys of what came here meanwhile, so that a repeat is recognised there."""
    unmoved: list[str] = []
    """Conversations that may still have contacts of both, since those are no longer in memory."""
    reason: str = ""
    replaying: list[str] | None = None
    """Quarantined inputs of who leaves that are about to come in; None: an earlier program did not say."""
    replayed: list[str] = []
    """Those that came in meanwhile or before, the newest."""


class CustomerReturned(Event, kw_only=True, frozen=True, tag="CustomerReturned"):
    """The customer's affairs are its own again, as `other` released them."""

    other: str
    turn: int
    released_at: int
    """The journal's position of the `CustomerReleased`."""
    links: list[IdentityLink] = []
    inherited: dict[str, bytes] = {}
    replaying: list[str] | None = None
    replayed: list[str] = []
    """Of its quarantined inputs, as the release has them."""
