"""Mutants of retention: what a load and a snapshot know of a conversation whose facts were dropped."""

from typing import Any

import msgspec

from actors import remains, snapshots
from adapters.stores import archive_snapshots
from protocol.links import SnapshotTaken
from tests.simulation.mutants.planting import Plant, mutant_of_either


@mutant_of_either
def dropped_facts_are_not_missed(plant: Plant) -> None:
    """A load goes on over facts that retention took, as if there had been none."""
    plant(remains, "skip_to", lambda state, stream, seq, event: None)


@mutant_of_either
def words_are_not_named(plant: Plant) -> None:
    """A snapshot does not say of which conversations it has words: one that comes after the drop brings them back."""
    plant(remains, "words", lambda state: ())


@mutant_of_either
def words_stay_in_a_snapshot(plant: Plant) -> None:
    """A snapshot with words of what was dropped is kept with them, as if they had been taken out."""

    def whole(taken: SnapshotTaken, dropped: Any) -> SnapshotTaken:
        return msgspec.structs.replace(taken, words=())

    plant(snapshots, "without", whole)


@mutant_of_either
def snapshots_outlive_their_facts(plant: Plant) -> None:
    """What retention drops stays in the snapshots that there are."""
    plant(archive_snapshots, "forget", lambda db, conversations: None)
