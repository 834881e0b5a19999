"""Rules of identity: how much each kind of evidence is worth, when it may link, and which identities are shared.

An identity is shared where it stands for several people: a family's phone, a company's mailbox. It says whose an event
is only where nothing else in the event does, and it never makes one customer of two.
"""

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, cast

from msgspec import Meta, Struct, field

from actors.rules.names import Word
from protocol.identities import fits_no_number, kind_of, pattern_of
from protocol.journal import POLICIES_KEPT

if TYPE_CHECKING:
    from actors.rules.policy import Policy

Evidence = Literal["first_contact", "asserted_by_channel", "agent", "crm", "login", "verified_by_otp", "policy"]
Percent = Annotated[int, Meta(ge=0, le=100)]

CONFIDENCE: dict[str, int] = {
    "first_contact": 90,
    "asserted_by_channel": 70,
    "agent": 80,
    "crm": 80,
    "login": 95,
    "verified_by_otp": 100,
    "policy": 60,
}
"""By evidence: how sure a link is that rests on it, in percent."""


MISTAKEN = {"email": "mailto", "mail": "mailto", "phone": "tel", "telephone": "tel", "sms": "tel"}
"""What is written for the kinds that have other names; any other word may be a kind."""


class MatchRule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One line of the match rules: which identities it is for, and how sure the evidence must be for what.

    Without `kinds`, `evidence` or `accounts` it is for all of them.
    """

    kinds: list[Word] = []
    evidence: list[Evidence] = []
    accounts: list[Word] = []
    link_at: Percent = 0
    """Percent from which an event links such an identity that nobody has."""
    merge_at: Annotated[int, Meta(ge=0, le=101)] = 101
    """Percent from which two customers who share such an identity are put forward as one person; over 100: never."""
    merge_by_itself_at: Annotated[int, Meta(ge=0, le=101)] = 101
    """Percent from which they are merged without a person's word; over 100: never. Never where both have shown the
    identity to be theirs, nor where it is shared, nor after somebody took the two apart."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what could never hold, and says what to write instead."""
        for kind in self.kinds:
            if meant := MISTAKEN.get(kind):
                raise ValueError(f"kinds: {kind!r} is no kind of identity: write {meant}")
        if self.merge_at < self.link_at:
            raise ValueError("merge_at lies under link_at: what is not sure enough to link does not make one of two")
        if self.merge_by_itself_at < min(self.merge_at, 101):
            raise ValueError("merge_by_itself_at lies under merge_at: what is not even put forward is not done either")

    def fits(self, kind: str, evidence: str, account: str) -> bool:
        """Whether it is for identities of this kind."""
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.evidence or evidence in self.evidence)
            and (not self.accounts or account in self.accounts)
        )


ANY = MatchRule()


class IdentityRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the policy says about who is who."""

    confidence: dict[Evidence, Percent] = field(default_factory=dict)
    """By evidence: percent, in the place of what `CONFIDENCE` has for it."""
    match: list[MatchRule] = []
    """The first that fits an identity is its rule; where none does, every event links and none puts forward."""
    alike: dict[Word, Word] = field(default_factory=dict)
    """By kind the one under which the same value is the same address: a WhatsApp number is a telephone number. Who
    comes from the first is said to have the second, too."""
    single: list[Word] = []
    """Kinds of which a customer has one, such as the account they sign in with: one more is another person's until
    somebody says otherwise, though a phone that both name leads to the first."""
    shared: list[str] = []
    """Shared identities: each whole, or with `*` for any characters (`mailto:*@info.example.org`)."""
    shared_after: Annotated[int, Meta(ge=1)] = 3
    """Customers that may claim one identity before the review list takes it for a shared one: partners have one phone,
    and their child may; four customers behind one address are a household's or a company's."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what could never hold, and says what to write instead."""
        for evidence in self.confidence:
            if evidence not in CONFIDENCE:
                raise ValueError(f"confidence: {evidence!r} is no evidence: there are {', '.join(CONFIDENCE)}")
        for kind, other in self.alike.items():
            for each in (kind, other):
                if meant := MISTAKEN.get(each):
                    raise ValueError(f"alike: {each!r} is no kind of identity: write {meant}")
            if other in self.alike:
                last = self.alike[other]
                words = f"write {kind}: {last}" if last != kind else "keep one of the two lines"
                raise ValueError(f"alike: {other!r} stands on both sides: {words}")
        for kind in self.single:
            if meant := MISTAKEN.get(kind):
                raise ValueError(f"single: {kind!r} is no kind of identity: write {meant}")
        for identity in self.shared:
            if ":" not in identity or kind_of(identity) in MISTAKEN:
                raise ValueError(f"shared: write {identity!r} with its kind, as mailto:info@* or tel:+44207*")

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with it though it can be read: what was kept of an earlier program has it perhaps."""
        for n, identity in enumerate(self.shared, start=1):
            if fits_no_number(identity):
                yield ("shared", str(n)), f"{identity!r} fits no number: write its country, as in tel:+447700900123"

    def confidence_in(self, evidence: str) -> int:
        """How sure a link is that rests on this evidence; 0 for evidence nobody knows."""
        # msgspec gives the keys as plain strings: which of them there may be was checked as it was read.
        given = cast(dict[str, int], self.confidence).get(evidence)
        return CONFIDENCE.get(evidence, 0) if given is None else given

    def rule_for(self, identity: str, evidence: str, account: str) -> MatchRule:
        """The first match rule that fits."""
        kind = kind_of(identity)
        for rule in self.match:
            if rule.fits(kind, evidence, account):
                return rule
        return ANY

    def place_of(self, rule: MatchRule) -> str:
        """How a rule is named where it decides: `match-2` is the second."""
        place = next((place for place, each in enumerate(self.match, start=1) if each is rule), 0)
        return f"match-{place}"

    def is_shared(self, identity: str) -> bool:
        """Whether the identity is known to stand for several people."""
        return _any_of(tuple(self.shared)).match(identity) is not None


@lru_cache(maxsize=POLICIES_KEPT + 1)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all, read once for each version of the rules. What people write is spelled as identities are:
    nothing would match `mailto:Info@*` as it stands."""
    return re.compile("|".join(translate(pattern_of(each)) for each in patterns) if patterns else r"(?!)")
