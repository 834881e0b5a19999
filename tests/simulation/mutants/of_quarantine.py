"""Mutants of what lies in quarantine: when it comes in after all, how often, and in which form."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from actors.inbound import replaying
from orchestrator.gateway.incoming import replaying as desk
from orchestrator.gateway.incoming.quarantine import again
from protocol.commands import BeginReplay, EndReplay, MarkReplayed
from protocol.events import AnyEvent, Once, ReplayBegun
from protocol.inbound import InboundEvent
from tests.simulation.mutants.planting import Plant, mutant


@mutant
def replayed_as_of_its_arrival(plant: Plant) -> None:
    """What is replayed is as of when it came, not of its own time."""

    def arrived(row: dict[str, Any], *rest: Any) -> InboundEvent:
        return msgspec.structs.replace(again(row, *rest), time_ms=int(row["received_ms"]))

    plant(desk, "again", arrived)


@mutant
def begun_in_two_forms(plant: Plant) -> None:
    """A replay begins although another form of the input may be about to come in."""
    decide = replaying.decide

    def careless(
        command: MarkReplayed | BeginReplay | EndReplay,
        actor: str,
        replayed: Collection[str],
        begun: Collection[str],
        now_ms: int,
        forms: Mapping[str, int] = MappingProxyType({}),
    ) -> AnyEvent:
        ends = isinstance(command, EndReplay)
        return decide(command, actor, replayed, [command.quarantine] if ends else [], now_ms, forms)

    plant(replaying, "decide", careless)


@mutant
def begun_and_forgotten(plant: Plant) -> None:
    """A replay that finds another one begun sends the input as it was kept, whatever form that one had."""
    begun = desk._begun

    async def as_kept(here: Any, row: dict[str, Any], account: Any, actor: str) -> Any:
        return await begun(here, {**row, "edited": b""}, account, actor)

    plant(desk, "_begun", as_kept)


@mutant
def unknown_where_it_was_kept(plant: Plant) -> None:
    """Who keeps an input that comes in as somebody else's does not know it, should its source send it again."""
    plant(replaying, "anothers", lambda begun, *_: begun)


@mutant
def given_away_though_it_came_in(plant: Plant) -> None:
    """An input that its source sent again, and that came in so, is replayed as somebody else's all the same."""
    anothers = replaying.anothers

    def blind(begun: ReplayBegun, input: Once, came: Any) -> ReplayBegun:
        return begun if came is not None else anothers(begun, input, came)

    plant(replaying, "anothers", blind)


@mutant
def ended_in_whichever_form(plant: Plant) -> None:
    """Whoever is refused ends what is begun of the input by now, in another form than theirs, too."""
    decide = replaying.decide

    def whichever(*given: Any, forms: object = None) -> Any:
        return decide(*given[:5])

    plant(replaying, "decide", whichever)
