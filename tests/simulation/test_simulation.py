"""500 seeds, of which each chooses its placement: the real server under a virtual clock, with faults, and every
promise checked after each.

A failure names the promise, the seed, and the one command that replays it.
"""

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.ahead import SEEDS
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


def test_a_run_does_not_depend_on_the_order_of_sets() -> None:
    """Strings hash differently in every process; what the server does must not."""
    program = (
        "from tests.simulation.scenario import run\n"
        "print([run(seed, placement=p).digest for p in ('pooled', 'dedicated') for seed in range(8)])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1]


def test_the_seed_chooses_the_placement() -> None:
    """With `both`, about half of the seeds run under each; the replay command names the one that was drawn."""
    drawn = Counter(plan_of(seed, placement="both").placement for seed in range(SEEDS))
    assert min(drawn["pooled"], drawn["dedicated"]) > SEEDS / 3
