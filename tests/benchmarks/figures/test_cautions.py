"""When a figure comes with a word of caution."""

from benchmarks.figures import cautions
from benchmarks.figures.lag import Lag
from benchmarks.figures.own_cpu import Own
from benchmarks.load.filling import Filled, Filling


def test_a_machine_that_others_use_makes_figures_too_low() -> None:
    """So does a load generator that is always busy."""
    assert cautions.of_machine(generator_is_the_limit=False, others_cores=0.05) == []
    assert cautions.of_machine(generator_is_the_limit=False, others_cores=None) == []
    busy, others = cautions.of_machine(generator_is_the_limit=True, others_cores=0.75)
    assert "load generator was busy" in busy
    assert "Others used 0.75 cores" in others


def test_a_relay_that_its_load_held_up_raises_the_ratio() -> None:
    """Whether by what the generator ran, or by what it waited for a core."""
    assert cautions.of_relay(Own(0.6, 0.1, 3.0)) == []
    assert "ratio lower" in cautions.of_relay(Own(0.6, 0.35, 3.0))[0]


def test_a_load_without_checkpoints_or_without_a_past_is_not_published() -> None:
    """Each is said for itself; of somebody else's stores nothing is known."""
    assert cautions.of_stores(Lag(1.0, 1.0, 3, 2), 2_000_000) == []
    assert cautions.of_stores(None, 0) == []
    said = cautions.of_stores(Lag(1.0, 1.0, 0, 0), 0)
    assert [one.partition(": ")[0] for one in said] == ["not a figure to publish"] * 3
    assert [word in one for word, one in zip(("journal made", "archive made", "--preload"), said, strict=True)] == [
        True
    ] * 3
    assert len(cautions.of_stores(Lag(1.0, 1.0, 3, 0), 1)) == 1


def test_a_filling_whose_time_was_up_says_how_far_it_came() -> None:
    """Everyone's first message comes first, so that half of the messages may be all of the conversations."""
    asked = Filling(conversations=1000, messages=2)
    assert cautions.of_filling(Filled(asked, 2000, 1.0)) == []
    assert "at 600 of 1,000 conversations, 600 of 2,000 messages" in cautions.of_filling(Filled(asked, 600, 1.0))[0]
    assert "at 1,000 of 1,000 conversations, 1,500 of" in cautions.of_filling(Filled(asked, 1500, 1.0))[0]


def test_kills_that_did_not_happen_are_told() -> None:
    """The time was up before them."""
    assert cautions.of_kills(4, 4) == []
    assert "after 1 of 4 kills" in cautions.of_kills(1, 4)[0]
