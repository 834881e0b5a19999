"""Context rules: which of two values stands, what a channel may carry, and what a switch of channels must bring along.

    context.yaml ── loader ──▶ ContextRules ── Policy.context ──▶ context/knowing.py, context/switching.py

Every default leaves things as they are without rules: the newest value stands, every channel carries everything, and a
switch requires nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from actors.rules.names import Word, is_word, wrong_name

Sensitivity = Literal["normal", "personal", "secret"]
SENSITIVITIES: tuple[Sensitivity, ...] = ("normal", "personal", "secret")
"""From the least to the most."""

Criterion = Literal["verified", "agent", "channel", "newest", "first"]
"""What may decide between two values: the one whose source is verified, the one an agent gave, the one of the channel
that stands earlier in the key's `channels`, the one said last, the one said first."""

RelationName = Literal["continues", "repeats", "follows_up", "escalates"]

ANY = "any"
"""In the name of a pair of channels: whichever."""
_PAIR = " to "


class KeyRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What holds for one key: `contract`, `date_of_birth`."""

    sensitivity: Sensitivity = "normal"
    """At least so sensitive, whatever the source says."""
    winner: tuple[Criterion, ...] = ()
    """What decides between two values of it; empty: as for all."""
    channels: tuple[Word, ...] = ()
    """For the criterion `channel`: whose word counts more, the best first."""


class SwitchRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What holds where the conversation goes from one channel to another."""

    required: tuple[str, ...] = ()
    """Keys that should be known by then; those that are not are recorded as missing."""
    continuity: str = ""
    """Who sees to it that nothing is lost, as in `ContextRules.continuity`; empty: as for all."""

    def __post_init__(self) -> None:
        """Raises `ValueError`."""
        if self.continuity:
            _check_continuity(self.continuity)


class CarryRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a new conversation takes along of what was known in the earlier one that it is related to."""

    within_ms: int = 0
    """So long after the earlier one last changed. 0: nothing comes along."""
    all_with: tuple[RelationName, ...] = ("continues", "repeats", "follows_up", "escalates")
    """Relations with which everything comes along: it is the same issue."""
    always: tuple[str, ...] = ()
    """Keys that come along with the other relations too: what is true of the customer, whatever they ask."""
    never: tuple[str, ...] = ()
    """Keys that stay behind."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a key that is to do both."""
        if both := sorted(set(self.always) & set(self.never)):
            raise ValueError(f"always and never both name {both[0]}: leave it out of one of them")

    def takes(self, key: str, relation: str) -> bool:
        """Whether an item comes along."""
        return key not in self.never and (relation in self.all_with or key in self.always)

    def spelled(self, relation: str) -> str:
        """The rule that decided about one that is recent enough, in words."""
        if relation in self.all_with:
            return f"carry_over: all with {relation}" + (f", never {', '.join(self.never)}" if self.never else "")
        return f"carry_over: with {relation} " + (", ".join(self.always) or "nothing")


class ContextRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    winner: tuple[Criterion, ...] = ("verified", "newest")
    """What decides between values of different sources, one after the other; where all are even, the newest stands."""
    verified_channels: tuple[Word, ...] = ()
    """Channels whose word counts as verified, by accounts that are trusted: an app after its login, an IVR after its
    PIN."""
    keys: dict[str, KeyRules] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    """Property of an activity (`bill_number` of "viewed the bill") → the key it is known under."""
    carries: dict[Word, tuple[Sensitivity, ...]] = field(default_factory=dict)
    """Channel → what it may carry. A channel that is not named carries everything."""
    switches: dict[str, SwitchRules] = field(default_factory=dict)
    """`sms to phone`, `any to sms`, `chat to any`, `any to any`: the first of these that fits holds."""
    continuity: str = "owner"
    """Who sees to it that a switch loses nothing: `owner` (who has the conversation; while nobody has, its queue),
    `queue`, or a name: `agent:ann`, `team:claims`, `queue:billing`."""
    looks_back_ms: int = 0
    """What a customer did on the web or in the app so long before a conversation began is part of it. 0: nothing is."""
    carry_over: CarryRules = CarryRules()
    """What of an earlier conversation's context a new one begins with."""
    fallback: dict[Word, Word] = field(default_factory=dict)
    """Channel → where the conversation goes on when a message there is given up. Not named: it stays where it is."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a pair or a name that says nothing."""
        _check_continuity(self.continuity)
        for known, names in (("keys", self.keys), ("properties", self.properties.values())):
            for name in names:
                if words := wrong_name(name):
                    raise ValueError(f"{known}: {name!r}: {words}")
        for pair in self.switches:
            if len(pair.split(_PAIR)) != 2 or not all(pair.split(_PAIR)):
                raise ValueError(f"switches: write {pair!r} as two channels, such as `sms to phone` or `any to sms`")

    def between(self, origin: str, target: str) -> tuple[str, SwitchRules]:
        """The rules of a switch, and the name they stand under; empty where nobody wrote one."""
        for pair in (f"{origin} to {target}", f"{ANY} to {target}", f"{origin} to {ANY}", f"{ANY} to {ANY}"):
            if (rules := self.switches.get(pair)) is not None:
                return pair, rules
        return "", _NONE

    def may_carry(self, channel: str, sensitivity: str) -> bool:
        """Whether the channel may carry what is so sensitive."""
        carried = self.carries.get(channel)
        return carried is None or sensitivity in carried

    def named(self, channel: str) -> str:
        """The channel as `carries` has it, whatever capitals and blanks a machine wrote it with: a word that is not
        there may carry everything."""
        if channel in self.carries:
            return channel
        meant = channel.strip().casefold()
        return next((known for known in self.carries if known.casefold() == meant), channel)

    def criteria(self, key: str) -> Sequence[Criterion]:
        """What decides between two values of the key."""
        rules = self.keys.get(key)
        return rules.winner if rules and rules.winner else self.winner


def at_least(sensitivity: str, key: str, keys: Mapping[str, KeyRules]) -> str:
    """The more sensitive of what a source says and what the policy says of the key."""
    rules = keys.get(key)
    return sensitivity if rules is None else max(sensitivity, rules.sensitivity, key=rank)


def rank(sensitivity: str) -> int:
    """Its place in `SENSITIVITIES`; a word from elsewhere counts as the most sensitive."""
    return SENSITIVITIES.index(sensitivity) if sensitivity in SENSITIVITIES else len(SENSITIVITIES)


def _check_continuity(name: str) -> None:
    kind, colon, value = name.partition(":")
    if name not in ("owner", "queue") and not (colon and is_word(value) and kind in ("agent", "team", "queue")):
        raise ValueError(
            f"continuity: {name!r} is nobody; write owner, queue, agent:<name>, team:<name> or queue:<name>"
        )


_NONE = SwitchRules()
