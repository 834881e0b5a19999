"""`throughline demo`: placeholder."""

from orchestrator.cli.options import Json

EXAMPLE = "Example: throughline demo"


def demo(*, as_json: Json = False) -> None:
    """Play."""
