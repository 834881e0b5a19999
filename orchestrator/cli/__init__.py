"""The command line: `throughline`, or `python -m orchestrator.cli`.

Commands speak HTTP to the running server, so that what an operator sees is what any client sees; only `serve`, `token`
and `archive` touch the data folder. Nothing heavy is imported before a command needs it: `--help` answers at once.

app             the tree of commands
  serve, status, token, archive, webhook, demo    the server
  policy, report, quarantine, outbox              rules, what gets lost, what waits
  customer, conversation, timeline                who is who, and what happened
  imports, export                                 of the past, and for other systems

server          the running server, as commands see it
options         that many take; spread: that go together; erasing: of what forgets
output          what is printed; titles: as people call it
exits           how a command ends
"""

from orchestrator.cli.app import main

__all__ = ["main"]
