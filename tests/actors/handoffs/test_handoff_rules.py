"""Rules of handoffs: what no offer could be made by is refused when the policy is read."""

from typing import Any

import msgspec
import pytest

from actors.rules.handoffs import HandoffRules, Handoffs

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("no time to answer", {"waits_ms": 0}, "write more than 0"),
    ("a target without a kind", {"to": ["tier2"]}, "'tier2' is neither agent:<name> nor queue:<name>"),
    ("a target without a name", {"to": ["queue:"]}, "neither"),
    ("the same target twice", {"to": ["queue:a", "queue:a"]}, "twice"),
    ("an unknown way out", {"on_decline": "drop"}, "on_decline: 'drop' is none of giver, next, queue:<name>"),
    ("an agent as a way out", {"on_expiry": "agent:bob"}, "on_expiry"),
    ("a queue without a name", {"on_expiry": "queue:"}, "on_expiry"),
    ("a next without anybody", {"on_expiry": "next"}, "nobody who could be"),
    ("nobody answers for the context", {"continuity": ""}, "continuity"),
    ("neither block nor warn", {"incomplete": "stop"}, "stop"),
    ("a misspelled key", {"requires": ["note"]}, "requires"),
]


@pytest.mark.parametrize(("case", "rules", "said"), WRONG, ids=[case for case, *_ in WRONG])
def test_what_cannot_work_is_refused_when_it_is_read(case: str, rules: dict[str, Any], said: str) -> None:
    """With the path to it."""
    with pytest.raises(msgspec.ValidationError, match="kinds") as caught:
        msgspec.convert({"kinds": {"tier1-tier2": rules}}, Handoffs)
    assert said in str(caught.value)


def test_a_kind_without_rules_has_those_of_the_others() -> None:
    """Open-ended names: a new kind needs no code."""
    rules = Handoffs(kinds={"a": HandoffRules(waits_ms=1)}, others=HandoffRules(waits_ms=2))
    assert [rules.rules(kind).waits_ms for kind in ("a", "b")] == [1, 2]
