"""The simulation under capture templates: questions, defaults and refusals in the midst of every fault."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from actors.capture import capturing
from actors.capture.capturing import Captured
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.policy import Policy
from actors.state.conversation import Conversation, knows
from orchestrator.parts import cell
from protocol.events import AnyEvent
from protocol.inbound import InboundEvent
from tests.simulation.rules import policy_of_cells
from tests.simulation.scenario import replay_of, run

SEEDS = 8
FIELDS = (
    Field(name="asked", pattern="[05]", when_missing="ask_customer", question="Which?"),
    Field(name="noted", pattern="7", when_missing="ask_agent"),
    Field(name="given", pattern="3", when_missing="default", default="nothing"),
)
STRICT = Field(name="needed", pattern="[1-9]", when_missing="quarantine")
RULES = CaptureRules(
    templates=(
        Template(channel="chat", fields=FIELDS),
        Template(channel="email", fields=FIELDS),
        Template(channel="sms", fields=(*FIELDS, STRICT)),
    )
)


@pytest.fixture(autouse=True)
def _templates(monkeypatch: pytest.MonkeyPatch) -> None:
    first = policy_of_cells()
    monkeypatch.setattr(
        cell, "policy_of", lambda settings, noted=(): msgspec.structs.replace(first(settings), capture=RULES)
    )


def test_every_promise_holds_under_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they ask leaves once, what they refuse is kept, and all else is as without them."""
    asked, seen = capturing.asked, Counter[str]()

    def counted(
        state: Conversation,
        event: InboundEvent,
        captured: Captured,
        decided: Sequence[AnyEvent],
        policy: Policy,
        now_ms: int,
    ) -> list[AnyEvent]:
        made = asked(state, event, captured, decided, policy, now_ms)
        seen.update(type(fact).__name__ for fact in made)
        return made

    monkeypatch.setattr(capturing, "asked", counted)
    broken = []
    for seed in range(SEEDS):
        ended = run(seed, placement="both")
        broken += [f"{failure.promise}: {failure.text}\n  {replay_of(ended)}" for failure in ended.failures]
    assert not broken, "\n".join(broken)
    assert min(seen[name] for name in ("FieldMissing", "MessageQueued")) > 10


def test_a_customer_who_is_asked_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that asks for a field although it has asked before breaks a promise."""
    monkeypatch.setattr(capturing, "_follows", lambda state, field: not knows(state, field.name))
    promises = (failure.promise for seed in range(SEEDS) for failure in run(seed, placement="both").failures)
    assert next(promises, "") == "once"
