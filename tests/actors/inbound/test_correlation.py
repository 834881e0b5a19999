"""Correlation: each situation of the table has its answer, and says why."""

import pytest

from actors.inbound.correlation import correlate
from actors.inbound.relating import Past, spell
from actors.rules.correlation import NO_RULES
from actors.tags.labels import NO_TAGS
from protocol.entities import Relation, Tags
from tests.actors.correlation_cases import CASES, CUSTOMER, NOW_MS, Case


def test_the_table_is_large_enough_and_no_situation_is_there_twice() -> None:
    """At least sixty, each under a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_contact_goes_where_it_belongs(case: Case) -> None:
    """The conversation, or the relation of a new one, and the reason for it."""
    found = correlate(
        case.conversations,
        [_id(each.conversation if isinstance(each, Past) else each) for each in case.past],
        case.event,
        tags=case.tags,
        rules=case.rules,
        remembered=[each for each in case.past if isinstance(each, Past)],
        now_ms=NOW_MS,
    )
    assert found.conversation == (_id(case.goes_to) if case.goes_to else "")
    assert found.reason
    relation = found.relation
    assert (relation and (relation.kind, relation.conversation)) == (
        (case.relation[0], _id(case.relation[1])) if case.relation else None
    )
    assert case.reason in (relation.reason if isinstance(relation, Relation) else found.reason)


PLAIN = [case for case in CASES if case.rules is NO_RULES and case.tags is NO_TAGS]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_who_has_no_rules_has_the_same_answers_sooner(case: Case) -> None:
    """What is said about nothing, by rules that say nothing, goes where the whole way would lead."""
    past = [_id(each) for each in case.past if not isinstance(each, Past)]
    short, whole = (
        correlate(case.conversations, past, case.event, tags=tags, rules=NO_RULES, now_ms=NOW_MS)
        for tags in (NO_TAGS, Tags())
    )
    assert (short.conversation, short.relation) == (whole.conversation, whole.relation)


@pytest.mark.parametrize(
    ("ms", "words"), [(0, "0 s"), (59_999, "59 s"), (7_199_999, "119 min"), (7_200_000, "2 h"), (172_800_000, "2 days")]
)
def test_spans_are_said_as_people_say_them(ms: int, words: str) -> None:
    """Rounded down."""
    assert spell(ms) == words


def _id(of: int | str) -> str:
    return of if isinstance(of, str) else f"{CUSTOMER}-{of}"
