"""Members: of a customer that others were merged into, what is known of each; and of one that was, into whom.

Ids stay as they are, so whose a conversation was when it was opened is what its id begins with: its *home*. A repeat of
what came to a member is recognised by the keys of that member, which go on counting here.
"""

from msgspec import Struct, field

from actors.decisions.once import OnceKeys
from protocol.ids import customer_of

LEFT_MAX = 16
"""Members that left and are remembered, the oldest going first: whoever asks for one is told where it is."""
MIXED_MAX = 64
"""Conversations of several customers, of those that are no longer in memory."""


class GivenAway(Struct, frozen=True):
    """Into whom a customer was merged, by whom and why."""

    to: str
    actor: str
    reason: str


class Member(Struct, kw_only=True):
    """A customer whose affairs are this one's."""

    via: str
    """Into whom it was merged itself: this customer, or another member."""
    turn: int
    given_at: int
    """The journal's position at which it gave itself: what happened up to there is in what it brought."""
    at_ms: int
    """When it was taken in."""
    seq: int
    """The place of that in the stream of `via`."""
    opened: int
    """Conversations it ever opened: the next one that is opened for it has the number after that."""
    identities: tuple[str, ...] = ()
    """Those that came with it and were not unlinked since."""
    once: OnceKeys = field(default_factory=OnceKeys)
    parted: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    """What it brought of these (see `actors.identity.disputes.Disputes`), and this customer did not have."""
    marks: dict[str, bytes] = field(default_factory=dict)
    """By customer, of all who were one as it was taken in: the newest once-key of each. Who is not in it, from before
    there were marks, tells of all its keys."""
    heads: dict[str, int] | None = None
    """By conversation in memory, of all who were one as it was taken in: its head then; of who was taken in later, its
    head as that one came. None: it was taken in before heads were noted."""


class Family(Struct, kw_only=True):
    """The members by id, and who has left."""

    members: dict[str, Member] = field(default_factory=dict)
    left: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By customer that was here: with whom it left, and in which turn of that one."""
    mixed: tuple[str, ...] = ()
    """Conversations of several of them that left memory, and of which nothing is kept."""
    packed: tuple[tuple[str, bytes], ...] = ()
    """Those of which something is (see `actors.identity.mixed`), in the order in which they left."""

    def with_all_of(self, member: str) -> list[str]:
        """The member, and those that were merged into it before."""
        found = [member]
        for one in found:
            found += [other for other, known in self.members.items() if known.via == one]
        return found


def home_of(stream: str, customer: str) -> str:
    """Whose a stream of `customer`'s or of a member's was when it began."""
    return stream if stream == customer else customer_of(stream) or stream
