"""Mutants of retention: what a load and a snapshot know of a conversation whose facts were dropped."""

from typing import Any

import msgspec

from actors.cells import remains, snapshots
from adapters.stores.archive import emptying
from adapters.stores.archive import retention as archive_retention
from adapters.stores.archive import snapshots as archive_snapshots
from protocol.links import SnapshotTaken
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


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


@mutant
def dropped_and_not_noted(plant: Plant) -> None:
    """Retention drops a conversation and does not write it down: a rebuild keeps it."""
    note = archive_retention._NOTE_CONVERSATION.replace("VALUES (?, ?, ?, ?, ?)", "SELECT ?, ?, ?, ?, ? WHERE 0")
    plant(archive_retention, "_NOTE_CONVERSATION", note)


@mutant
def keys_go_with_their_facts(plant: Plant) -> None:
    """Of a fact that retention drops no once-key stays: who loads the journey without a snapshot takes a repeat for
    new."""
    kept = tuple(sql for sql in emptying._EMPTY if "SET type = 'FactDropped'" not in sql)
    plant(emptying, "_EMPTY", kept)


@mutant
def moved_words_go_with_their_origin(plant: Plant) -> None:
    """A conversation that is over is dropped with the words of contacts that were put into one that is not."""
    over = "SELECT conversation FROM conversation WHERE closed_at_ms < :before ORDER BY closed_at_ms LIMIT :limit"
    plant(archive_retention, "_OVER", over)
