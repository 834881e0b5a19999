"""Expressions: read once, with a precise error; what fails on an input holds for nobody."""

import pytest

from actors.expressions import EXPRESSION_MAX, Expression, ExpressionError

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
    ],
)
def test_an_expression_holds_where_it_comes_to_true(source: str, holds: bool) -> None:
    """Not where it fails, nor where it comes to something else."""
    given = {"text": "my claim 4711", "channel": "email", "properties": {"menu": "billing", "items": []}}
    assert Expression(source, NAMES).holds(given) is holds


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("text.contains(", "cannot be read from its character 15 on: it ends too early"),
        ("subject == ''", "there is no 'subject' here; there are channel, properties, text"),
        ("a" * (EXPRESSION_MAX + 1), "at most 2000"),
        ("frobnicate(text)", r"no function frobnicate\(\)"),
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
