"""Capture rules: what is wrong with a template is said when it is read, where, and with what to write instead."""

import re
from typing import Any

import msgspec
import pytest

from actors.capture.templates import template_for
from actors.rules.capture import CaptureRules
from protocol.inbound import InboundEvent, MessageArrived

EVENT = InboundEvent(
    id="1", source="s", time_ms=1, account="chat", channel="chat", identities=[], data=MessageArrived(text="hi")
)


def read(*templates: dict[str, Any]) -> CaptureRules:
    """The rules as a bundle's loader reads them."""
    return msgspec.convert({"templates": list(templates)}, CaptureRules)


def of(**field: Any) -> dict[str, Any]:
    """A chat's template with one field."""
    return {"channel": "chat", "fields": [{"name": "contract", **field}]}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": (of(name=""), "name: a name is printable", "$.templates[0].fields[0]"),
    "a name of the floor": (of(name="identity"), "comes with every event", "$.templates[0].fields[0]"),
    "a path into nothing": (of(found_at=["date.text"]), "begins with none of", "$.templates[0].fields[0]"),
    "a broken pattern": (of(pattern="(a"), "pattern: missing", "$.templates[0].fields[0]"),
    "a broken expression": (of(found_by="text.contains("), "found_by: ", "$.templates[0].fields[0]"),
    "an unknown name in an expression": (of(found_by="txt"), "there is no 'txt' here", "$.templates[0].fields[0]"),
    "no question": (of(when_missing="ask_customer"), "question: write", "$.templates[0].fields[0]"),
    "no default": (of(when_missing="default"), "default: write", "$.templates[0].fields[0]"),
    "a default that says nothing": (
        of(when_missing="default", default=" "), "default: write", "$.templates[0].fields[0]"
    ),
    "a default that no item can hold": (of(default="x" * 4097), "at most 4096", "$.templates[0].fields[0]"),
    "an unknown action": (of(when_missing="shrug"), "value 'shrug'", "$.templates[0].fields[0].when_missing"),
    "an unknown key": (of(missing="ask"), "unknown field `missing`", "$.templates[0].fields[0]"),
    "an identity that stands nowhere": (
        {"channel": "chat", "identities": [{"kind": "tel"}]}, "say where it stands", "$.templates[0].identities[0]"
    ),
    "identities in too many places": (
        {"channel": "form", "identities": [{"kind": "tel", "found_at": ["raw.a"]}] * 33},
        "at most 32 places",
        "$.templates[0]",
    ),
    "no channel": ({"channel": ""}, "length >= 1", "$.templates[0].channel"),
    "a field twice": (
        {"channel": "chat", "fields": [{"name": "a"}, {"name": "a"}]}, "stands there twice", "$.templates[0]"
    ),
    "a question on the phone": (
        {"channel": "phone", "fields": [{"name": "a", "when_missing": "ask_customer", "question": "?"}]},
        "cannot be asked on phone",
        "$.templates[0]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_template_that_cannot_work_is_refused(case: str) -> None:
    """With the place in the file."""
    template, said, where = WRONG[case]
    with pytest.raises(msgspec.ValidationError, match=re.escape(said)) as raised:
        read(template)
    assert f"`{where}`" in str(raised.value)


def test_two_templates_for_one_thing_are_refused() -> None:
    """Else one of them would silently not be in force."""
    with pytest.raises(msgspec.ValidationError, match="there are two for 'chat'"):
        read({"channel": "chat"}, {"channel": "chat"})


def test_a_version_is_read_once() -> None:
    """Not for each event: the second asks for what the first read."""
    rules = read(of(pattern="x"))
    assert template_for(rules, EVENT) is template_for(rules, EVENT) is not None
    assert template_for(CaptureRules(), EVENT) is None
