"""`python -m orchestrator.cli` is `throughline`."""

from orchestrator.cli.app import main

main()
