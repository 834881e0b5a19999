"""Mutants of reports: what follows from what the provider says later, and on which message it is."""

import msgspec

from actors.inbound import confirming
from actors.rules.policy import Policy
from actors.state import evolving
from actors.state.conversation import Conversation
from protocol.events import AnyEvent, DeliveryConfirmed
from protocol.inbound import DeliveryReport, InboundEvent
from tests.simulation.mutants.planting import Plant, mutant


@mutant
def reported_and_in_doubt(plant: Plant) -> None:
    """What is reported on is noted, and nothing follows for what is held, or is to be tried again."""
    plant(confirming, "decide_report", lambda *_: [])


@mutant
def reported_ahead_and_forgotten(plant: Plant) -> None:
    """A report that comes before its attempt's outcome is not remembered when that says nothing."""
    plant(evolving, "_OFTEN", {**evolving._OFTEN, DeliveryConfirmed: lambda *_: None})


@mutant
def reported_by_anybody(plant: Plant) -> None:
    """An account reports also on what left by another."""
    confirm = confirming.confirm

    def trusting(
        state: Conversation, event: InboundEvent, report: DeliveryReport, policy: Policy, now_ms: int
    ) -> list[AnyEvent]:
        number = report.delivery.rpartition(".")[2]
        account = confirming._left_by(state, int(number)) or event.account
        return confirm(state, msgspec.structs.replace(event, account=account), report, policy, now_ms)

    plant(confirming, "confirm", trusting)


@mutant
def report_on_other_words(plant: Plant) -> None:
    """A report on a message of which a restored server knows nothing counts for the one that has its id now."""
    confirm = confirming.confirm

    def by_its_id(
        state: Conversation, event: InboundEvent, report: DeliveryReport, policy: Policy, now_ms: int
    ) -> list[AnyEvent]:
        return confirm(state, event, msgspec.structs.replace(report, digest=""), policy, now_ms)

    plant(confirming, "confirm", by_its_id)
