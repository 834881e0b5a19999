"""Mutants of handoffs: leases, hashes, and who owns what meanwhile."""

from typing import Any

import msgspec

from actors.handoffs import handing_over, handoff_package, withdrawing
from protocol.handoffs import Handoff
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant
def old_lease_accepted(plant: Plant) -> None:
    """An answer counts for the offer that is open, whichever one it names: the lease fences nothing."""
    find = handing_over._open
    plant(handing_over, "_open", lambda state, lease, now_ms: find(state, _newest(state, lease), now_ms))


@mutant_of_either
def accepted_after_its_time(plant: Plant) -> None:
    """An answer counts though the offer's lease has ended, until somebody notices."""
    find = handing_over._open
    plant(handing_over, "_open", lambda state, lease, now_ms: find(state, lease, 0))


@mutant
def taken_by_anybody(plant: Plant) -> None:
    """An offer to one agent is accepted by another."""
    plant(handing_over, "_check_taker", lambda handoff, agent, policy: None)


@mutant
def unacknowledged_package(plant: Plant) -> None:
    """An acceptance counts without the package's hash."""
    accept = handing_over._accept

    def trusting(state: Any, handoff: Handoff, command: Any, *rest: Any) -> Any:
        return accept(state, handoff, msgspec.structs.replace(command, sha256=handoff.sha256), *rest)

    plant(handing_over, "_accept", trusting)


@mutant
def package_without_what_is_new(plant: Plant) -> None:
    """A package leaves out what the giver brings with the offer."""
    pack = handoff_package.package

    def stale(state: Any, required: Any, known: Any, identities: Any, **more: Any) -> Any:
        return pack(state, required, state.context, identities, **more)

    plant(handing_over, "pack", stale)


@mutant
def offer_outlives_the_owner(plant: Plant) -> None:
    """Who takes, assigns or moves a conversation leaves an open offer open."""
    plant(withdrawing, "withdrawn_by", lambda state, decided, actor, now_ms: decided)


def _newest(state: Any, lease: int) -> int:
    return state.handoff.lease if state.handoff else lease
