"""Mutants of erasures: what is left of who is forgotten, and whose their address is then."""

from collections.abc import Sequence
from typing import Any

from actors.erasure import erasing
from actors.identity import disputes
from adapters.stores.archive import erasing as archive_erasing
from adapters.stores.journal.memory_disk import Image
from orchestrator.erasure import files as stopped
from protocol.journal import Record, Released
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

    def half(self: Image, customer: str, redacted: Sequence[Record], *freed: Any) -> None:
        owners = self.owners
        erase(self, customer, redacted, *freed)
        self.owners = owners

    plant(Image, "erase", half)


@mutant_of_either
def comes_back_with_a_retry(plant: Plant) -> None:
    """Of what came from who is forgotten nobody knows: whoever has the address then takes a repeat for new."""
    plant(erasing, "freed", lambda *_: None)


@mutant
def comes_in_once_it_is_mended(plant: Plant) -> None:
    """Of what an account kept of who is forgotten nobody knows: in another form it is new."""
    plant(erasing, "_refused_by_accounts", lambda mentions: b"")


@mutant
def forgotten_with_its_first_heir(plant: Plant) -> None:
    """Whoever gets an erased address is told once what came from it, and does not write it down."""
    keys_for = disputes.keys_for

    def told(released: Sequence[Released], identity: str) -> dict[str, bytes]:
        found = keys_for(released, identity)
        return {customer: keys for customer, keys in found.items() if customer}

    plant(disputes, "keys_for", told)


@mutant
def begun_again_from_the_start(plant: Plant) -> None:
    """Who was interrupted records the act once more."""
    plant(stopped.Find, "erased", False)
