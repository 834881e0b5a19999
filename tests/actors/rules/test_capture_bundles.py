"""The default bundles' capture templates: they can be read, and find what their comments say."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from actors.capture.templates import identities_in, template_for
from actors.rules.capture import CaptureRules
from protocol.inbound import InboundEvent, MessageArrived

BUNDLES = Path(__file__).resolve().parents[3] / "orchestrator" / "bundles"


def rules(bundle: str) -> CaptureRules:
    """Those of a bundle."""
    written = yaml.safe_load((BUNDLES / bundle / "capture.yaml").read_text())
    return msgspec.convert(written, CaptureRules)


def event(channel: str, text: str, raw: dict[str, Any]) -> InboundEvent:
    """What came by a channel."""
    return InboundEvent(
        id="1",
        source="s",
        time_ms=1,
        account=channel,
        channel=channel,
        identities=[],
        data=MessageArrived(text=text),
        raw=raw,
    )


FOUND: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("insurer", "chat", "claim C-123456 of P12345678", {}, {"claim": "C-123456", "contract": "P12345678"}),
    ("insurer", "chat", "hello", {"contract": "P-12345678"}, {"contract": "P-12345678"}),
    ("insurer", "chat", "call 0123456789", {}, {}),
    ("insurer", "whatsapp", "P-12345678", {}, {"contract": "P-12345678"}),
    ("insurer", "email", "my claim is C123456", {}, {"claim": "C123456"}),
    ("insurer", "phone", "", {"contract": "P-1", "menu": "claims"}, {"contract": "P-1", "topic": "claims"}),
    ("insurer", "form", "", {"lossdate": "2026-11-01"}, {"date_of_loss": "2026-11-01"}),
    ("utility", "chat", "412345678, meter EMH12345678", {}, {"contract": "412345678", "meter": "EMH12345678"}),
    ("utility", "sms", "No Power since noon", {}, {"topic": "outage"}),
    ("utility", "sms", "thanks", {}, {}),
    ("utility", "email", "contract 412345678", {}, {"contract": "412345678"}),
    ("utility", "phone", "", {"menu": "bills"}, {"topic": "bills"}),
    ("utility", "form", "", {"meter": "EMH12345678", "reading": 4711}, {"meter": "EMH12345678", "meter_reading": 4711}),
]


@pytest.mark.parametrize(("bundle", "channel", "text", "raw", "found"), FOUND)
def test_a_shipped_template_finds_its_fields(
    bundle: str, channel: str, text: str, raw: dict[str, Any], found: dict[str, Any]
) -> None:
    """Field by field."""
    came = event(channel, text, raw)
    template = template_for(rules(bundle), came)
    assert template is not None
    looked = {field.name: finder.find(came, template.look()) for field, finder in template.finders}
    assert {name: value for name, value in looked.items() if value is not None} == found


@pytest.mark.parametrize("bundle", ["insurer", "utility"])
def test_a_form_says_whose_it_is(bundle: str) -> None:
    """By its fields, the mail address first."""
    came = event("form", "", {"email": "ann@example.org", "phone": "07700 900123"})
    assert identities_in(rules(bundle), came) == ["mailto:ann@example.org", "tel:07700 900123"]
