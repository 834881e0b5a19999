"""Expressions: read once, with a precise error; what fails on an input holds for nobody."""

import pytest

from actors.rules.expressions import (
    EXPRESSION_MAX,
    LISTED_DEEP_MAX,
    LISTED_MAX,
    Expression,
    ExpressionError,
    long_to_read,
    shorter,
)
from actors.rules.patterns import SEARCHED_MAX

NAMES = ("text", "channel", "properties")


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ('text.contains("claim")', True),
        ('text.matches("[0-9]{4}") && channel == "email"', True),
        ('channel in ["sms", "phone"]', False),
        ('properties.menu == "billing"', True),
        ('properties.missing == "billing"', False),
        ('properties.exists(key, key == "menu")', True),
        ('has(properties.menu) && timestamp("2026-11-25T09:00:00Z").getHours() == 9', True),
        ("size(text)", False),
        ("1 / 0 == 1", False),
        ('properties.items[0] == "x"', False),
        ('text + 1 == ""', False),
        ("[[1], [2]].exists(a, a.exists(b, b == 2)) && [3].map(a, a)[0] == 3 && [4].all(a, a == 4)", True),
        ("text.contains(') .all( .all( .all( .all( .all(') || true // .all( .all( .all( .all( .all(", True),
        (r"""text.matches('[0-9]+ \'') || text.matches(r"\d{4}") """, True),
    ],
)
def test_an_expression_holds_where_it_comes_to_true(source: str, holds: bool) -> None:
    """Not where it fails, nor where it comes to something else."""
    given = {"text": "my claim 4711", "channel": "email", "properties": {"menu": "billing", "items": []}}
    assert Expression(source, NAMES).holds(given) is holds


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("text.contains(“x”)", "cannot be read from its character 15 on: '“' does not belong there"),
        ("text.contains(", "cannot be read from its character 15 on: it ends too early"),
        ("subject == ''", "there is no 'subject' here; there are channel, properties, text"),
        ("a" * (EXPRESSION_MAX + 1), "at most 2000"),
        ("frobnicate(text)", r"no function frobnicate\(\)"),
        ("[1].all(a, [2].all(b, [3].all(c, a < b)))", "2 within each other: this would go through its lists"),
        ("[1].all(a, [2].filter(b, [3] . all (c, a < b)) == [])", "2 within each other"),
        ("[text].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a)", "may stand here 4 times"),
        ('text.matches("(claim")', r'matches\("\(claim"\): this is no pattern: unclosed group'),
        (r"text == '' && text.matches(r'a(?=b)')", "this is no pattern: look-around"),
        ("text.matches('a{2000}{2000}')", "this is no pattern: Compiled regex exceeds size limit"),
    ],
)
def test_a_wrong_expression_is_refused_when_it_is_read(source: str, says: str) -> None:
    """Not at the first customer who needs it."""
    with pytest.raises(ExpressionError, match=says):
        Expression(source, NAMES)


def test_a_value_is_what_the_expression_comes_to() -> None:
    """Also a part of what a channel said; None where there is none."""
    given = {"text": "", "channel": "ivr", "properties": {"menu": {"topic": "billing"}}}
    assert Expression("properties.menu.topic", NAMES).value(given) == "billing"
    assert Expression("properties.menu.other", NAMES).value(given) is None


@pytest.mark.parametrize(
    "source", ["properties.all(a, properties.all(b, a == b || true))", "properties.rows.all(a, a in properties.rows)"]
)
def test_what_a_channel_gives_is_gone_through_as_far_as_that_takes_no_time(source: str) -> None:
    """The first of a long list; a million steps would hold a cell for a second, and a customer may send it."""
    rows = list(range(10 * LISTED_MAX))
    given = {"properties": {"rows": rows, **{f"k{n}": n for n in rows}}, "text": "", "channel": ""}
    assert Expression(source, NAMES).holds(given)
    assert Expression(f"properties.rows.exists(a, a == {LISTED_MAX - 1})", NAMES).holds(given)
    assert not Expression(f"properties.rows.exists(a, a == {LISTED_MAX})", NAMES).holds(given)
    assert Expression("properties.rows.map(a, a)", NAMES).value(given) == rows[:LISTED_DEEP_MAX]
    assert Expression("properties.rows[999]", NAMES).value(given) == 999


@pytest.mark.parametrize(
    "asked",
    [
        "properties.rows.exists(a, properties.rows.exists(b, a == {n}))",
        "properties.rows.exists(a, text.matches('z') || a == {n})",
        "properties.rows.map(a, a) == [] || {n} in properties.rows.filter(a, a == {n})",
    ],
    ids=["deep", "matches", "filter"],
)
def test_what_takes_longer_for_each_goes_through_fewer(asked: str) -> None:
    """With 256 of each these took from half a second to minutes: the library copies lists, and reads patterns anew."""
    given = {"properties": {"rows": list(range(LISTED_MAX))}, "text": "", "channel": ""}
    assert Expression(asked.format(n=LISTED_DEEP_MAX - 1), NAMES).holds(given)
    assert not Expression(asked.format(n=LISTED_DEEP_MAX), NAMES).holds(given)


def test_a_text_that_is_looked_at_again_and_again_is_short() -> None:
    """A customer's quarter of a million characters, once for each of a list, held a cell for nine seconds."""
    given = {"properties": {"rows": [1]}, "text": "a" * SEARCHED_MAX + "z", "channel": ""}
    assert Expression("text.contains('z')", NAMES).holds(given)
    assert not Expression("properties.rows.exists(a, text.contains('z'))", NAMES).holds(given)
    assert Expression(f"properties.rows.exists(a, size(text) == {SEARCHED_MAX})", NAMES).holds(given)


@pytest.mark.parametrize(
    ("source", "long"),
    [
        (r"""text.matches(r"\bP[ -]?\d{8}\b")""", False),
        (r"""properties.rows.exists(a, a.matches(r"\bP[ -]?\d{8}\b"))""", False),
        (r"""properties.rows.exists(a, properties.rows.exists(b, b.matches("claim")))""", False),
        (r"""properties.rows.exists(a, properties.rows.exists(b, b.matches(r"\d+")))""", True),
        (r"""text.matches(r"\pL{20}")""", False),
        (r"""properties.rows.exists(a, a.matches(r"\pL{20}"))""", True),
    ],
)
def test_a_pattern_is_as_long_as_it_is_read_often(source: str, long: bool) -> None:
    """An expression reads it each time, so that one in two lists has to be a word."""
    Expression(source, NAMES)
    assert long_to_read(source) is long
    assert ("list" in shorter(source)) is ("exists" in source)
