"""What a channel may not carry is found in texts, however it is spelled."""

from typing import Any

import pytest

from actors.context import knowing
from actors.context.withholding import secrets, told
from actors.rules.context import ContextRules
from actors.state import context_items
from actors.state.context_items import Given

NOW_MS = 1_000_000


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("DE89 3704", "your account DE89 3704 is", True),
        (12345, "number 12345!", True),
        ("no", "no, it is not", False),
        (True, "True enough", False),
        (None, "None of it", False),
        ("DE89 3704", "your account is", False),
        ("Müllerstraße", "in der Mu\u0308llerstrasse", True),
        ("Mu\u0308ller", "Frau MÜLLER", True),
        ("12345", "number \uff11\uff12\uff13\uff14\uff15", True),
    ],
)
def test_a_text_that_says_a_withheld_value_is_found(value: Any, text: str, said: bool) -> None:
    """Short words are in every text and are not looked for."""
    rules = ContextRules(carries={"sms": ("normal",)})
    one = Given(key="iban", value=value, actor="agent:ann", channel="phone", sensitivity="secret")
    known = context_items.after({}, [knowing.decide(None, one, rules, 1, NOW_MS)])
    assert bool(told(text, secrets(known, "sms", rules))) is said
    assert secrets(known, "email", rules) == [], "a channel that is not named carries everything"
