"""Rules of handoffs: what must be in the package, who answers for the context, and what happens without an acceptance.

A kind is any name that owners find useful: `chat-phone`, `tier1-tier2`, `bot-person`, `team-team`.
"""

from typing import Literal

from msgspec import Struct, field

from actors.rules.names import Word, is_word

MINUTE_MS = 60_000
GIVER, TAKER, NEXT = "giver", "taker", "next"
_QUEUE = "queue:"


class HandoffRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The protocol of one kind of handoff."""

    required: tuple[str, ...] = ()
    """Fields that must be in the package: context items by key, `note`, or what a conversation knows by itself:
    `customer`, `identity`, `channel`, `queue`, `subject`, and what the taxonomy tells."""
    incomplete: Literal["block", "warn"] = "warn"
    """What happens where one is missing: `block` refuses the offer, `warn` makes it and says what is missing."""
    continuity: str = GIVER
    """Who answers for the context: `giver`, `taker`, or the name of an agent or a role."""
    waits_ms: int = 10 * MINUTE_MS
    """How long an offer waits for its answer."""
    to: tuple[str, ...] = ()
    """Where offers go that name nobody, and then, with `next`, one after the other: `agent:<name>`, `queue:<name>`."""
    on_decline: str = GIVER
    """`giver` keeps the conversation; `queue:<name>` puts it there, owned by nobody; `next` offers it to the next of
    `to`, and after the last one the giver keeps it."""
    on_expiry: str = GIVER
    """The same, where nobody answered in time."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what no offer could be made by."""
        if self.waits_ms <= 0:
            raise ValueError("waits: an offer has to wait for some time: write more than 0, as 10 min")
        for target in self.to:
            if not is_target(target):
                raise ValueError(f"to: {target!r} is neither agent:<name> nor queue:<name>")
        if len(set(self.to)) < len(self.to):
            raise ValueError("to names somebody twice; each is asked once")
        for name, value in (("on_decline", self.on_decline), ("on_expiry", self.on_expiry)):
            if value not in (GIVER, NEXT) and not (value.startswith(_QUEUE) and is_target(value)):
                raise ValueError(f"{name}: {value!r} is none of giver, next, queue:<name>")
            if value == NEXT and not self.to:
                raise ValueError(f"{name} is next, and `to` names nobody who could be")
        if not self.continuity:
            raise ValueError("continuity is giver, taker, or the name of an agent or a role")


class Handoffs(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All kinds of handoff."""

    kinds: dict[Word, HandoffRules] = field(default_factory=dict)
    """By name."""
    others: HandoffRules = field(default_factory=HandoffRules)
    """The rules of a kind that is not among them."""
    only_listed: bool = False
    """Whether such a kind is refused instead: a mistyped name is then noticed."""
    members: dict[Word, tuple[Word, ...]] = field(default_factory=dict)
    """Queue → the agents who may answer for it. A queue that is not named is everybody's."""

    def may_take(self, target: str, agent: str) -> bool:
        """Whether an agent may answer an offer to `agent:<name>` or `queue:<name>`."""
        if not target.startswith(_QUEUE):
            return target == f"agent:{agent}"
        members = self.members.get(target.removeprefix(_QUEUE))
        return members is None or agent in members

    def has_takers(self, target: str, giver: str) -> bool:
        """Whether anybody but the giver may take it."""
        members = self.members.get(target.removeprefix(_QUEUE)) if target.startswith(_QUEUE) else None
        return members is None or any(member != giver for member in members)

    def rules(self, kind: str) -> HandoffRules:
        """The rules of a kind, whether it may still be offered or not."""
        return self.kinds.get(kind, self.others)


def is_target(target: str) -> bool:
    """Whether it is `agent:<name>` or `queue:<name>`."""
    kind, colon, name = target.partition(":")
    return kind in ("agent", "queue") and bool(colon) and is_word(name)
