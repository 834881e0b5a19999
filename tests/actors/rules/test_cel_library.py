"""What a process that decides loads of the CEL library."""

import subprocess
import sys

PROGRAM = """
import sys
from actors.rules.cel_library import cel as alone
from actors.rules.expressions import Expression
assert Expression('text.contains("claim")', ["text"]).holds({"text": "my claim"})
print(sorted({"cel.cli", "prompt_toolkit", "rich", "typer"} & set(sys.modules)))
import cel
print(cel.compile is alone.compile)
"""


def test_expressions_load_no_command_line() -> None:
    """And whoever imports the whole package after that gets the same library."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[]", "True"]
