"""The decision's benchmark: the same traffic without rules and under a bundle, and that all of it is decided."""

import io

import pytest
from rich.console import Console

from benchmarks.figures.phases import Phases
from benchmarks.inputs.bundle import NoBundle
from benchmarks.reports.decide import panels, show
from benchmarks.scenarios.decide import Plan, run


def test_a_bundle_stands_beside_the_settings() -> None:
    """The same events under both; the insurer asks each stranger, so that there are outcomes."""
    result = run(Plan(events=40, customers=10), phases=Phases(Console(quiet=True)))
    assert result.faults == []
    without, with_rules = result.under
    assert [(each.kind, each.steps) for each in without.kinds] == [("stranger", 4), ("follow-up", 36)]
    assert [(each.kind, each.steps) for each in with_rules.kinds] == [
        ("stranger", 4),
        ("follow-up", 36),
        ("outcome", 4),
    ]
    assert without.facts_per_event == (4 * 4 + 36) / 40 < with_rules.facts_per_event
    said = Console(record=True, width=120, file=io.StringIO())
    show(result, said)
    assert "insurer" in said.export_text()
    assert [panel.y for panel in panels(result)] == ["µs"]


def test_a_bundle_that_is_none_gives_no_figure() -> None:
    """It says which name, before anything is decided."""
    with pytest.raises(NoBundle, match="no-such-bundle"):
        run(Plan(bundle="no-such-bundle"), phases=Phases(Console(quiet=True)))
