"""The report's benchmark: a desk's half year has losses of every kind, and all of it is archived."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from actors.rules.policy import Policy
from benchmarks.figures import disk
from benchmarks.figures.phases import Phases
from benchmarks.inputs import desk
from benchmarks.inputs.decided import BEGAN_MS
from benchmarks.reports.counting import panels, show
from benchmarks.scenarios.counting import Plan, run


@pytest.fixture(autouse=True)
def any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is nothing that a disk matters to."""
    monkeypatch.setattr(disk, "check", lambda folder: "any")


def test_every_measure_has_its_times_and_nearly_every_one_its_losses(tmp_path: Path) -> None:
    """A customer who comes back gives most of them; what is left out is only what chance leaves out of so few."""
    result = run(Plan(folder=tmp_path, events=6000, each=3), phases=Phases(Console(quiet=True)))
    assert result.faults == []
    assert result.conversations >= 3 * result.customers
    assert sum(each.losses > 0 for each in result.measures) >= 8
    assert result.all_s == pytest.approx(sum(each.all_s for each in result.measures))
    assert list(tmp_path.iterdir()) == []
    said = Console(record=True, width=120, file=io.StringIO())
    show(result, said)
    assert "repeat_without_relation" in said.export_text()
    assert [panel.y for panel in panels(result)] == ["s"]


def test_the_same_desk_is_written_again(tmp_path: Path) -> None:
    """Its seed decides everything, so that two trees count the same."""
    first, again = (
        asyncio.run(desk.write(tmp_path / name, events=1000, each=1, policy=Policy())) for name in ("one", "two")
    )
    assert first == again
    assert first.until_ms > BEGAN_MS
