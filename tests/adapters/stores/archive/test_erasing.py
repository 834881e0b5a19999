"""Which tables an erasure reaches: that nothing of a person is left there, the tests of `orchestrator.erasure` show."""

from adapters.stores.archive.erasing import ERASED_TABLES, NOBODYS_TABLES
from adapters.stores.archive.schema import TABLES


def test_an_erasure_reaches_every_table() -> None:
    """One whose rows are named by something new has to be thought of."""
    assert frozenset(TABLES) <= ERASED_TABLES | NOBODYS_TABLES
