"""Mutants of imports: how often a contact of the past comes in, when it was, and what is left to do with it."""

from typing import Any

import msgspec

from actors.decisions import deciding
from actors.decisions.decision import Decision
from actors.inbound import importing, receiving
from actors.rules.policy import Policy
from actors.state.journey import Journey
from protocol.events import AnyEvent
from protocol.inbound import InboundEvent, PastConversation, PastMessage
from protocol.links import Input
from tests.simulation.mutants.planting import Plant, mutant


@mutant
def imported_once_more(plant: Plant) -> None:
    """A contact of the past that is imported again is taken for new."""
    perhaps_again = receiving.perhaps_again

    def anew(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
        is_past = isinstance(given.event.data, PastConversation)
        return (receiving.first if is_past else perhaps_again)(state, given, policy, now_ms)

    plant(deciding, "perhaps_again", anew)


@mutant
def imported_as_of_now(plant: Plant) -> None:
    """A contact of the past began when it came in, unless a message says otherwise."""
    decide = importing.decide

    def now(
        event: InboundEvent, past: PastConversation, customer: str, conversation: str, policy: Policy, now_ms: int
    ) -> list[tuple[str, AnyEvent]]:
        return decide(msgspec.structs.replace(event, time_ms=now_ms), past, customer, conversation, policy, now_ms)

    plant(importing, "decide", now)


@mutant
def imported_and_to_be_sent(plant: Plant) -> None:
    """What was sent then waits for its attempt."""
    said = importing._said

    def queued(event: InboundEvent, message: PastMessage, id: str, delivery: str, identity: str) -> list[AnyEvent]:
        return said(event, message, id, delivery, identity)[:1]

    plant(importing, "_said", queued)


@mutant
def imported_and_open(plant: Plant) -> None:
    """A contact of the past is not over: it is somebody's work."""
    facts = importing._facts

    def unclosed(*given: Any) -> list[AnyEvent]:
        return list(facts(*given))[:-1]

    plant(importing, "_facts", unclosed)
