"""Plots are SVG files with words in them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.reports.plot import Bars, Line, NoPlot, Panel, check, draw


def test_panels_become_one_svg(tmp_path: Path) -> None:
    """Lines with their names, bars with theirs; titles stay text, so that they can be found."""
    file = tmp_path / "run.svg"
    check(file)
    draw(
        [
            Panel("Events", "second", "events/s", [Line("acked", [0, 1], [5, 6])]),
            Panel("Memory", "", "bytes", Bars(["pooled", "dedicated"], [3000, 38_000_000]), scale="log"),
        ],
        file,
    )
    root = ElementTree.parse(file).getroot()  # noqa: S314 - made above
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Events", "events/s", "acked", "Memory", "dedicated"} <= words


def test_a_plot_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    """Not after the minutes that it took."""
    with pytest.raises(NoPlot, match="No such file or directory"):
        check(tmp_path / "nowhere" / "run.svg")
