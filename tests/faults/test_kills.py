"""Each process of the live server is killed once under load: the campaign's short version.

`python -m tests.faults` is the long one, with pairs of kills and moments drawn from a seed.
"""

import sys
from pathlib import Path

import pytest

from tests.faults.campaign import Load, campaign
from tests.faults.strikes import Target, once_each, plan

SEED = 1
CALM_S = 0.5
STRUCK = [target for target in Target if target is not Target.SUPERVISOR]
"""The supervisor's own death is the long campaign's, and `tests/orchestrator/test_supervisor.py`'s."""


@pytest.mark.slow
async def test_nothing_is_lost_doubled_or_hidden_when_each_process_is_killed(tmp_path: Path) -> None:
    """Acked is kept, the archive follows, views are gap-free and soon level, deliveries are sent once or doubted."""
    result = await campaign(
        tmp_path, once_each(STRUCK, calm_s=CALM_S), seed=SEED, load=Load(people=8, rate=40.0, agents=2)
    )
    assert result.faults == [], f"the long version: {sys.executable} -m tests.faults --kills 40 --seed {SEED}"
    assert result.kills == len(STRUCK)
    assert result.words > 0
    assert result.replies > 0


def test_a_seed_draws_the_same_strikes() -> None:
    """A failure's command repeats its strikes; another seed makes others."""
    assert plan(7, 40) == plan(7, 40)
    assert plan(7, 40) != plan(8, 40)


def test_a_plan_strikes_every_target_in_turn() -> None:
    """Forty kills meet each target several times, some of them in pairs."""
    strikes = plan(7, 40)
    assert sum(strike.kills for strike in strikes) >= 40
    assert {strike.target for strike in strikes[: len(Target)]} == set(Target)
    assert any(strike.second for strike in strikes)
