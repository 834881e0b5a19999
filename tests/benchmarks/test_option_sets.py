"""Options that go together are one parameter of a command, and options like any other to who types them."""

from typing import Annotated

import typer
from typer.testing import CliRunner

from benchmarks.option_sets import Load, Shown, spread


def test_each_field_is_an_option_with_its_bounds_and_default() -> None:
    """What is not typed is as the struct says; beside them stands what is the command's own."""
    seen: list[tuple[int, Load, Shown]] = []

    def measure(*, pairs: Annotated[int, typer.Option(min=1, help="Pairs.")] = 3, load: Load, out: Shown) -> None:
        """Measures."""
        seen.append((pairs, load, out))

    app = typer.Typer()
    app.command()(spread(measure))
    assert CliRunner().invoke(app, ["--agents", "7", "--json"]).exit_code == 0
    assert seen == [(3, Load(agents=7), Shown(as_json=True))]
    refused = CliRunner().invoke(app, ["--agents", "0"])
    assert refused.exit_code == 2
    assert "--agents" in refused.output
