"""What a process of the server loads, and pays for in start and memory. The channel host's HTTP client brings more."""

import subprocess
import sys

PROGRAM = """
import sys
import orchestrator.cluster.host
from orchestrator.parts import archive, cell, gateway, journal, usher
print(sorted({"prompt_toolkit", "rich", "typer"} & set(sys.modules)))
import rich.console
"""


def test_they_load_nothing_that_draws_on_terminals() -> None:
    """Libraries bring it along where they are let; who wants it for itself still gets it."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[]"]
