"""Rules of identity: what could never hold is refused when the policy is read."""

from typing import Any

import msgspec
import pytest

from actors.rules.identity import IdentityRules
from protocol.identities import normalise


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"confidence": {"asserted_by_chanel": 60}}, "asserted_by_chanel"),
        ({"match": [{"kinds": ["telephone"]}]}, "write tel"),
        ({"match": [{"kinds": ["mail"]}]}, "write mailto"),
        ({"single": ["phone"]}, "write tel"),
        ({"alike": {"whatsapp": "phone"}}, "write tel"),
        ({"alike": {"viber": "whatsapp", "whatsapp": "tel"}}, "write viber: tel"),
        ({"match": [{"link_at": 80, "merge_at": 20}]}, "merge_at lies under link_at"),
        ({"shared": ["info@*"]}, "mailto:info@"),
        ({"shared": ["email:info@example.org"]}, "with its kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_that_could_never_hold_is_refused(rules: dict[str, Any], says: str) -> None:
    """A mistyped word would link people, or not link them, and nobody would see why."""
    with pytest.raises((msgspec.ValidationError, ValueError), match=says):
        msgspec.convert(rules, IdentityRules)


def test_kinds_and_patterns_of_ones_own_are_taken() -> None:
    """Kinds are open: a new channel brings its own."""
    rules = msgspec.convert({"match": [{"kinds": ["pigeon", "tel"]}], "shared": ["tel:+44207*"]}, IdentityRules)
    assert rules.is_shared("tel:+442071234567")


@pytest.mark.parametrize(
    "pattern", ["mailto:*@exämple.org", "mailto:*@EX\u00c4MPLE.*", "mailto:Ann@*", "mailto:*exämple.org"]
)
def test_a_pattern_is_met_however_its_owner_spelled_it(pattern: str) -> None:
    """Identities have one spelling, in small letters and with the domain as in the DNS; owners write as they please."""
    rules = msgspec.convert({"shared": [pattern]}, IdentityRules)
    assert rules.is_shared(normalise("mailto:Ann@Exämple.org"))
    assert not rules.is_shared(normalise("mailto:bob@example.com"))


@pytest.mark.parametrize("pattern", ["tel:+44 7700 900123", "TEL:+44 (0)7700 900123", "tel:+44 7700*", "tel:*900123"])
def test_a_shared_number_is_met_however_its_owner_wrote_it(pattern: str) -> None:
    """Or all who call from it would be one customer."""
    rules = msgspec.convert({"shared": [pattern]}, IdentityRules)
    assert rules.is_shared("tel:+447700900123")
    assert not rules.is_shared("tel:+442071234567")
