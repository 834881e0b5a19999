"""Bundles for a run: those that ship, one's own, and their next versions."""

from pathlib import Path

import pytest

from benchmarks.inputs import bundle
from orchestrator.bundles.folder import DEFAULTS
from orchestrator.bundles.making import make
from orchestrator.policy.first import set_up_of
from orchestrator.settings import GatewayAccount, Settings

SET_UP = set_up_of(Settings(accounts=[GatewayAccount(name="benchmark", channel="chat", queue="new")]))


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_version_differs_from_the_one_before(name: str) -> None:
    """In a rule, and every one can be applied; new conversations of the load's account wait where its desk looks."""
    files = bundle.read(name)
    made = [make(each, SET_UP) for each in (files, *(bundle.next_of(files, number) for number in range(3)))]
    assert [each.wrong for each in made] == [[], [], [], []]
    policies = [each.policy for each in made]
    assert all(policy is not None for policy in policies)
    assert len({policy.close_after_resolved_ms for policy in policies if policy is not None}) == 4
    assert all(policy.queues["benchmark"] == "new" for policy in policies if policy is not None)


def test_a_bundle_that_does_not_say_how_long_gets_it_said(tmp_path: Path) -> None:
    """Its own files are as they were."""
    (tmp_path / "queues.yaml").write_text("benchmark: new\n")
    files = bundle.read(str(tmp_path))
    assert bundle.next_of(files, 1) == {**files, "general.yaml": "\nclose_after_resolved: 12 days\n"}


def test_what_is_no_bundle_is_said_before_a_server_starts(tmp_path: Path) -> None:
    """With what there is."""
    with pytest.raises(bundle.NoBundle, match="insurer, utility"):
        bundle.read(str(tmp_path / "nowhere"))
    (tmp_path / "queues.yml").write_text("benchmark: new\n")
    with pytest.raises(bundle.NoBundle, match=r"queues\.yml.*rename"):
        bundle.read(str(tmp_path))
