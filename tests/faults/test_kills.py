"""Each process of the live server is killed once under load: the campaign's short version.

`python -m tests.faults` is the long one, with pairs of kills and moments drawn from a seed.
"""

import sys
from pathlib import Path

import pytest

from tests.faults.campaign import Load, campaign
from tests.faults.strikes import Standstill, Target, once_each, plan, targets_of

SEED = 1
CALM_S = 0.5
BEYOND = (Target.SUPERVISOR, Target.NODE)
"""Their own deaths are the long campaign's, and `tests/orchestrator/cluster/test_supervisor.py`'s."""
LOADS = {"pooled": Load(people=8, rate=40.0, agents=2), "dedicated": Load(people=6, rate=10.0, agents=2)}


@pytest.mark.slow
async def test_nothing_is_lost_doubled_or_hidden_when_each_process_is_killed(tmp_path: Path, placement: str) -> None:
    """Acked is kept, the archive follows, views are gap-free and soon level, deliveries are sent once or doubted."""
    struck = [target for target in targets_of(placement) if target not in BEYOND]
    strikes = once_each(struck, calm_s=CALM_S)
    result = await campaign(tmp_path, strikes, seed=SEED, placement=placement, load=LOADS[placement])
    assert result.faults == [], f"the long version: {sys.executable} -m tests.faults --kills 40 --seed {SEED}"
    assert result.kills == len(struck)
    assert result.words > 0
    assert result.replies > 0


def test_a_seed_draws_the_same_strikes() -> None:
    """A failure's command repeats its strikes; another seed makes others."""
    assert plan(7, 40, "pooled") == plan(7, 40, "pooled")
    assert plan(7, 40, "pooled") != plan(8, 40, "pooled")


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
def test_a_plan_strikes_every_target_in_turn(placement: str) -> None:
    """Forty kills meet each target several times, some of them in pairs; then each stands still."""
    strikes = plan(7, 40, placement)
    assert sum(strike.kills for strike in strikes) >= 40
    kills = [strike for strike in strikes if not isinstance(strike, Standstill)]
    targets = set(targets_of(placement))
    assert {strike.target for strike in kills[: len(targets)]} == targets
    assert any(strike.second for strike in kills)
    assert {strike.second for strike in kills} <= {*targets, None}
    still = {target for strike in strikes if isinstance(strike, Standstill) for target in strike.targets}
    assert still == targets - {Target.EVERYTHING}
