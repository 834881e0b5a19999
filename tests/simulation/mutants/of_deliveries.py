"""Mutants of deliveries: what is sent, how often, and what is said of it."""

from collections.abc import Collection

import msgspec

from actors.commands import delivery, outcomes
from actors.state import evolving
from actors.state.conversation import Conversation
from orchestrator.gateway.websockets.deliveries import Deliveries
from protocol.entities import Delivery
from protocol.events import AnyEvent, DeliveryAttempted, DeliveryDead, DeliverySent
from protocol.events.event import SYSTEM
from protocol.links import Attempt
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant_of_either
def words_of_another(plant: Plant) -> None:
    """An attempt carries the words of its conversation's newest message, whichever it is of."""
    attempt_of = delivery.attempt_of

    def careless(state: Conversation, id: str, *, again: bool) -> Attempt | None:
        attempt = attempt_of(state, id, again=again)
        return attempt and msgspec.structs.replace(attempt, text=list(state.deliveries.values())[-1].text)

    plant(delivery, "attempt_of", careless)


@mutant_of_either
def begun_anew_while_under_way(plant: Plant) -> None:
    """A first attempt that is under way as a timer rings is given up in silence, and the next one made."""
    decide_due = delivery.decide_due

    def impatient(state: Conversation, now_ms: int, taken: Collection[str] = ()) -> list[AnyEvent]:
        anew = [
            DeliveryAttempted(at_ms=now_ms, actor=SYSTEM, delivery=each.id, attempt=2)
            for each in state.deliveries.values()
            if each.state == "attempting" and each.attempt == 1
        ]
        return [*anew, *decide_due(state, now_ms, taken)]

    plant(delivery, "decide_due", impatient)


@mutant_of_either
def uncertain_called_sent(plant: Plant) -> None:
    """A delivery that was written to a client's socket and not answered is said to be sent."""

    def hopeful(self: Deliveries, attempt: Attempt, reason: str) -> None:
        self._report(attempt, "sent", reason=reason)

    plant(Deliveries, "_unsure", hopeful)


@mutant_of_either
def uncertain_called_refused(plant: Plant) -> None:
    """A delivery that was written to a client's socket and not answered is said to be dead."""

    def gloomy(self: Deliveries, attempt: Attempt, reason: str) -> None:
        self._report(attempt, "refused", reason=reason)

    plant(Deliveries, "_unsure", gloomy)


@mutant
def dead_though_it_may_have_left(plant: Plant) -> None:
    """A delivery that is given up is a dead letter, also where an attempt before the newest may have sent it."""

    def certain(given_up: Delivery, code: str, reason: str, now_ms: int) -> AnyEvent:
        return DeliveryDead(at_ms=now_ms, actor=SYSTEM, delivery=given_up.id, code=code, reason=reason)

    plant(outcomes, "_dead", certain)


@mutant
def held_though_it_left(plant: Plant) -> None:
    """A delivery of which a person says that it left stays among those that are held: it can be sent again."""
    deliver = evolving._OFTEN[DeliverySent]

    def held(state: Conversation, event: DeliverySent) -> None:
        found, before = state.deliveries.get(event.delivery), state.deliveries
        deliver(state, event)
        if found is not None and found.state == "uncertain":
            state.deliveries = before

    plant(evolving, "_OFTEN", {**evolving._OFTEN, DeliverySent: held})
