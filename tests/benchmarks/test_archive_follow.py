"""The archive's benchmark: a journal of real decisions, and that what it measures is followed whole."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import archive_follow, disk
from benchmarks.archive_follow import Plan, run
from benchmarks.archive_report import panels, show
from benchmarks.phases import Phases


def test_each_batch_size_follows_the_whole_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fact arrives; a tenth of what comes after the live conversations are strangers, with four facts each."""
    monkeypatch.setattr(disk, "check", lambda folder: "ext4")
    monkeypatch.setattr(archive_follow.gc, "freeze", lambda: None)
    monkeypatch.setattr(archive_follow.gc, "set_threshold", lambda *given: None)
    plan = Plan(folder=tmp_path, events=60, customers=20, batches=(7, 100))
    result = run(plan, phases=Phases(Console(quiet=True)))
    assert result.faults == []
    assert result.facts == 24 * 4 + 36
    assert [each.batch for each in result.followed] == [7, 100]
    assert 0 < result.loads.events < 10
    assert list(tmp_path.iterdir()) == []
    said = Console(record=True, width=120, file=io.StringIO())
    show(result, said)
    assert "132 facts" in said.export_text()
    assert [panel.y for panel in panels(result)] == ["µs"]
