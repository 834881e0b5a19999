"""Options that go together are one parameter of a command, and options like any other to who types them."""

from typing import Annotated

import typer
from msgspec import Struct
from typer.testing import CliRunner

from orchestrator.cli.spread import Commands


class Load(Struct, frozen=True, kw_only=True):
    """What is pushed."""

    agents: Annotated[int, typer.Option(min=1, help="Agents.")] = 20
    as_text: Annotated[bool, typer.Option("--text", help="As text.")] = False


def test_each_field_is_an_option_with_its_bounds_and_default() -> None:
    """What is not typed is as the struct says; beside them stands what is the command's own."""
    seen: list[tuple[str, int, Load]] = []
    app = Commands()

    @app.command()
    def measure(
        what: Annotated[str, typer.Argument()],
        *,
        pairs: Annotated[int, typer.Option(min=1, help="Pairs.")] = 3,
        load: Load,
    ) -> None:
        """Measures."""
        seen.append((what, pairs, load))

    for typed in (["this", "--agents", "7", "--text"], ["that", "--pairs", "1"]):
        assert CliRunner().invoke(app, typed).exit_code == 0
    measure("other", load=Load(agents=1))
    assert seen == [("this", 3, Load(agents=7, as_text=True)), ("that", 1, Load()), ("other", 3, Load(agents=1))]
    refused = CliRunner().invoke(app, ["this", "--agents", "0"])
    assert refused.exit_code == 2
    assert "--agents" in refused.output
