"""The archive's benchmark: a journal of real decisions, and that what it measures is followed whole."""

import gc
import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.figures import disk
from benchmarks.figures.phases import Phases
from benchmarks.inputs import decided
from benchmarks.reports.archive import panels, show
from benchmarks.scenarios.archive_follow import Plan, run


@pytest.fixture(autouse=True)
def in_a_process_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder may lie in memory, and its garbage is collected as ever."""
    monkeypatch.setattr(disk, "check", lambda folder: "ext4")
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *given: None)


def test_each_batch_size_follows_the_whole_journal(tmp_path: Path) -> None:
    """Every fact arrives; a tenth of what comes after the live conversations are strangers, with four facts each."""
    plan = Plan(folder=tmp_path, events=60, customers=20, batches=(7, 100))
    result = run(plan, phases=Phases(Console(quiet=True)))
    assert (result.faults, result.cautions) == ([], [])
    assert result.facts == 24 * 4 + 36
    assert [each.batch for each in result.followed] == [7, 100]
    assert 0 < result.loads.events < 10
    assert list(tmp_path.iterdir()) == []
    said = Console(record=True, width=120, file=io.StringIO())
    show(result, said)
    assert "132 facts" in said.export_text()
    assert [panel.y for panel in panels(result)] == ["µs"]


def test_under_a_bundle_what_became_of_an_answer_is_followed_too(tmp_path: Path) -> None:
    """Strangers are asked for their contract's number, and each of the messages arrives; an event is still one that
    a channel sent."""
    plan = Plan(folder=tmp_path, events=60, customers=20, batches=(7, 100), bundle="insurer")
    result = run(plan, phases=Phases(Console(quiet=True)))
    assert (result.faults, result.cautions) == ([], [])
    assert result.facts == 24 * 10 + 36
    assert [each.events for each in result.followed] == [60, 60]
    assert result.setting["bundle"] == "insurer"


def test_a_run_whose_time_is_up_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way ends with a batch, and what it was given is there all the same."""
    monkeypatch.setattr(decided, "COMMIT", 50)
    plan = Plan(folder=tmp_path, events=500, customers=20, batches=(7, 20), seconds=1e-9)
    result = run(plan, phases=Phases(Console(quiet=True)))
    assert result.faults == []
    assert (result.events, result.events_asked) == (50, 500)
    assert [each.events for each in result.followed] == [7, 20]
    assert ["50, 7, 20 of 500 events" in one for one in result.cautions] == [True]
