"""The command line: `throughline`, or `python -m orchestrator.cli`.

Commands speak HTTP to the running server, so that what an operator sees is what any client sees; only `serve`, `token`
and `archive` touch the data folder. Nothing heavy is imported before a command needs it: `--help` answers at once.
"""

from orchestrator.cli.app import main

__all__ = ["main"]
