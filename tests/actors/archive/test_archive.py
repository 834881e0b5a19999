"""How the archive follows: what it waits for, and what a batch holds."""

import pytest

from actors.archive.archive import CALM_PER_S, GATHER_TIMES_MAX, TURN_S, Archive, pause_s
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.journal.memory import MemoryJournal


@pytest.mark.parametrize(
    ("records", "within_s", "times"),
    [
        (0, 0.0, 1),
        (1, 3600.0, 1),
        (4, 0.02, 1),
        (10, 0.01, 1000 / CALM_PER_S),
        (1_000, 0.5, 2_000 / CALM_PER_S),
        (8_000, 0.1, GATHER_TIMES_MAX),
        (1, 0.0, GATHER_TIMES_MAX),
    ],
)
def test_the_wait_grows_with_the_load(records: int, within_s: float, times: float) -> None:
    """In proportion to the records of a second, within bounds; a lone record waits the least."""
    assert pause_s(0.02, records=records, within_s=within_s, took_s=0.1) == pytest.approx(0.02 * times)


@pytest.mark.parametrize(("took_s", "waits_s"), [(0.2, 0.3), (0.4, 0.1), (TURN_S, 0.02), (9.0, 0.02)])
def test_a_long_batch_is_followed_by_a_short_wait(took_s: float, waits_s: float) -> None:
    """On a busy machine the lag must not grow by both."""
    assert pause_s(0.02, records=8_000, within_s=0.5, took_s=took_s) == pytest.approx(waits_s)


def test_who_gathers_nothing_never_waits() -> None:
    """In tests one turn of the loop is enough."""
    assert pause_s(0, records=8_000, within_s=0.5, took_s=0.1) == 0


class Behind(MemoryArchive):
    """An archive whose full text never catches up; counts the steps."""

    steps = 0

    async def index(self) -> int:
        self.steps += 1
        return 400


async def test_the_full_text_comes_one_step_nearer_in_a_pause() -> None:
    """Under load it must not take the time of those who wait for their acks: it catches up afterwards. Short pauses
    share a step."""
    store, journal = Behind(), MemoryJournal(new_generation=lambda: "g")
    archive = Archive(journal, store, gather_s=0)
    await archive._pause(0.01)
    assert store.steps == 1
    await archive._pause(0.01)
    assert store.steps == 1
    archive._index_at_s = 0.0
    await archive._pause(0.01)
    assert store.steps == 2
