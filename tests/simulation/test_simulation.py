"""500 seeds, of which each chooses its placement: the real server under a virtual clock, with faults, and every
promise checked after each.

A failure names the promise, the seed, and the one command that replays it.
"""

from collections import Counter

import pytest

from tests.simulation.ahead import AGAIN, SEEDS
from tests.simulation.plan import FAULTS, LAST_WORDS, SWITCH, plan_of
from tests.simulation.promises import acked
from tests.simulation.scenario import Run, replay_of, run


def test_every_promise_holds_under_every_seed(ended: list[Run]) -> None:
    """Whatever died, was lost, came twice, came late or was set back."""
    broken = [f"{failure.promise}: {failure.text}\n  {replay_of(run)}" for run in ended for failure in run.failures]
    assert len(ended) == SEEDS
    assert not broken, "\n".join(broken)


def test_the_seeds_show_something(ended: list[Run]) -> None:
    """Each kind of fault took effect in many runs, several at once in most, and the server worked all the while."""
    kinds = Counter(kind for run in ended for kind in set(run.faults))
    assert {kind for kind in (*FAULTS, SWITCH, LAST_WORDS) if kinds[kind] < 10} == set()
    assert sum(len(set(run.faults)) > 1 for run in ended) > SEEDS / 2
    assert sum(run.commits for run in ended) > 40 * SEEDS
    assert sum(run.lost > 0 for run in ended) >= 5, "power failures must find changes that are not synced"
    assert sum(run.stale > 0 for run in ended) >= 5, "former writers must try to write"
    assert sum(run.moved_over > 0 for run in ended) > SEEDS / 8, "clients must go on at the other of two gateways"


def test_what_no_check_can_read_has_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that contradict each other may stop a check in its midst: that is a failure like others."""

    def stumbles(_: object) -> None:
        raise AssertionError("offer 2 while one is open")

    monkeypatch.setattr(acked, "check", stumbles)
    ended = run(7)
    assert [(broken.promise, broken.text) for broken in ended.failures] == [
        ("alive", "a check broke: AssertionError: offer 2 while one is open")
    ]
    assert replay_of(ended) == "python -m tests.simulation --seed 7 --placement pooled --verbose"


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
def test_a_seed_is_a_run(placement: str) -> None:
    """The same seed gives the same trace, to the last message; another one gives another."""
    one, again, other = (run(seed, placement=placement).digest for seed in (7, 7, 8))
    assert one == again
    assert one != other


def test_a_run_does_not_depend_on_its_process(ended: list[Run], again: str) -> None:
    """Strings hash differently in each, so that sets have another order, and other runs were played there before; what
    the server does is the same."""
    assert again.strip() == str([run.digest for run in ended[:AGAIN]])
    assert {run.plan.placement for run in ended[:AGAIN]} == {"pooled", "dedicated"}


def test_the_seed_chooses_the_placement() -> None:
    """With `both`, about half of the seeds run under each; the replay command names the one that was drawn."""
    drawn = Counter(plan_of(seed, placement="both").placement for seed in range(SEEDS))
    assert min(drawn["pooled"], drawn["dedicated"]) > SEEDS / 3
