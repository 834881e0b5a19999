"""Mutants of erasures: what is left of who is forgotten, and whose their address is then."""

from collections.abc import Sequence

from actors import erasing
from adapters.stores import archive_erasing
from adapters.stores.memory_disk import Image
from orchestrator import erasing as stopped
from protocol.journal import Record
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant
def words_stay_in_the_journal(plant: Plant) -> None:
    """What was said to who is forgotten counts as words of ours."""
    plant(erasing, "KEPT", erasing.KEPT | {"text"})


@mutant_of_either
def snapshot_outlives_its_person(plant: Plant) -> None:
    """The snapshot of who is forgotten stays: their next load begins with it."""
    kept = tuple(sql for sql in archive_erasing._ERASE_CUSTOMER if "FROM snapshot" not in sql)
    plant(archive_erasing, "_ERASE_CUSTOMER", kept)


@mutant_of_either
def address_stays_theirs(plant: Plant) -> None:
    """The addresses of who is forgotten are not free: what comes from them comes to the one who is gone."""
    erase = Image.erase

    def half(self: Image, customer: str, redacted: Sequence[Record]) -> None:
        owners = self.owners
        erase(self, customer, redacted)
        self.owners = owners

    plant(Image, "erase", half)


@mutant
def begun_again_from_the_start(plant: Plant) -> None:
    """Who was interrupted records the act once more."""
    plant(stopped._Find, "erased", False)
