"""Mutants of merges: who may be merged, what goes along, who is turned away, and what comes back."""

from typing import Any

from actors.cells import belonging, loading, snapshots
from actors.cells.live import Message
from actors.decisions.once import OnceKeys
from actors.identity import merging
from actors.identity.members import home_of
from actors.state.journey import Journey
from actors.way_out.outlet import Outlet
from adapters.stores.journal import merged_rules
from adapters.stores.journal.merged_rules import GIVEN, Merged, Rows, root_of
from protocol.events import CustomerMerged, CustomerReleased
from protocol.journal import FamilyStep, Skipped, Unmergeable
from protocol.links import Rehomed
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant
def merged_into_a_member(plant: Plant) -> None:
    """A customer may give itself to one that has given itself away."""

    def give(step: FamilyStep, rows: Rows, position: int) -> Any:
        if step.customer in rows:
            return Skipped()
        if root_of(rows, step.other) == step.customer:
            return Unmergeable("a circle")
        return {step.customer: Merged(step.other, step.turn, position, GIVEN)}

    plant(merged_rules, "_give", give)


@mutant
def taken_in_without_keys(plant: Plant) -> None:
    """The once-keys of a member stay behind."""
    join = merging.join

    def forgetful(state: Journey, other: Journey, event: CustomerMerged) -> None:
        other.once = OnceKeys()
        join(state, other, event)

    plant(merging, "join", forgetful)


@mutant_of_either
def given_away_and_goes_on(plant: Plant) -> None:
    """A customer that gave itself away still decides what comes for it."""

    def here(journey: Journey, message: Message, *, checked: bool) -> Rehomed | None:
        return None

    plant(belonging, "elsewhere", here)


@mutant
def keys_forgotten_at_an_unmerge(plant: Plant) -> None:
    """Neither side knows what came to the other meanwhile."""
    plant(OnceKeys, "since", lambda self, mark: b"")


@mutant_of_either
def loaded_without_members(plant: Plant) -> None:
    """What happened in members' conversations since the merge is not read at a load."""

    def own_alone(self: loading._Fold, state: Journey, fact: loading._Fact) -> bool:
        return home_of(fact.stream, self._customer) == self._customer

    plant(loading._Fold, "_belongs", own_alone)


@mutant_of_either
def rehomed_without_a_turn(plant: Plant) -> None:
    """A cell tells gateways whose a customer's affairs are, and not since when: what they heard before stands."""
    say = Outlet.say_rehomed

    def undated(self: Outlet, customer: str, home: str, turn: int) -> None:
        say(self, customer, home, 0)

    plant(Outlet, "say_rehomed", undated)


@mutant
def released_and_kept(plant: Plant) -> None:
    """Conversations of a member that leaves stay in memory, and are worked on where they were."""
    release = merging.evolve_released

    def keeping(state: Journey, event: CustomerReleased) -> None:
        kept = state.kept
        release(state, event)
        state.kept = kept

    plant(merging, "evolve_released", keeping)


@mutant
def mixed_forgotten_in_a_snapshot(plant: Plant) -> None:
    """A journey that comes from its snapshot does not know which conversations became mixed and left memory."""
    freeze = snapshots.freeze

    def pure(state: Journey) -> bytes:
        if (family := merging.family_of(state)) is None:
            return freeze(state)
        known = family.mixed, family.packed
        family.mixed, family.packed = (), ()
        frozen = freeze(state)
        family.mixed, family.packed = known
        return frozen

    plant(snapshots, "freeze", pure)
