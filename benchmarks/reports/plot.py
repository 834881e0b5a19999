"""Plots as SVG files, by matplotlib. It is an extra (`throughline[benchmarks]`), imported when a plot is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct


class NoPlot(Exception):
    """matplotlib is not installed; the message says how to get it."""


class Line(Struct, frozen=True):
    """One line of points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


class Bars(Struct, frozen=True):
    """Named bars of one colour."""

    names: Sequence[str]
    values: Sequence[float]


class Panel(Struct, frozen=True):
    """One diagram, with lines or with bars."""

    title: str
    x: str
    y: str
    shown: Sequence[Line] | Bars
    scale: Literal["linear", "log"] = "linear"


def check(file: Path) -> None:
    """Raises `NoPlot` before a run whose plot could not be made, or not be written to `file`."""
    try:
        import matplotlib  # noqa: F401 - whether it is there is the question
    except ImportError as exc:
        raise NoPlot("--plot needs matplotlib: pip install 'throughline[benchmarks]'") from exc
    try:
        with file.open("ab"):  # An older plot stays until there is a new one.
            pass
    except OSError as exc:
        raise NoPlot(f"--plot {file} cannot be written: {exc.strerror}") from exc


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Writes the panels, one below the other, as an SVG whose words stay words."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "throughline"}):
        figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(len(panels), squeeze=False)[:, 0], strict=True):
            axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
            if isinstance(panel.shown, Bars):
                axes.bar(panel.shown.names, panel.shown.values)
            else:
                for line in panel.shown:
                    axes.plot(line.x, line.y, label=line.name)
                if panel.shown:
                    axes.legend()
            axes.set_yscale(panel.scale)
            if panel.scale == "linear":
                axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
        figure.savefig(file, format="svg")
