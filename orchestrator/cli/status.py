"""`throughline status`: what the running server says of itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json
from orchestrator.cli.output import console, print_fields, print_json, print_table
from orchestrator.cli.server import Running, Server

PROCESS_COLUMNS = ("process", "condition", "for", "deaths", "reason")
ANSWER_WITHIN_S = 5.0
"""Asked of a server that may hang, and by somebody who waits."""
EXAMPLE = "Example: throughline status --json"


def status(*, at: At, as_json: Json = False) -> None:
    """Show the server's parts and figures. Exit code 1 where a part does not work, 3 where no gateway answers."""
    running = at.running()
    try:
        with Server(running, timeout_s=ANSWER_WITHIN_S) as server:
            answer = server.get("/v1/status")
    except Failure as failure:
        if failure.exit_code is Exit.UNREACHABLE and not as_json:
            _show_what_the_node_says(running)
        raise
    if as_json:
        print_json(answer)
    else:
        _show(running.url, answer)
    if answer.get("ready") is False:
        raise typer.Exit(int(Exit.REFUSED))


def _show_what_the_node_says(running: Running) -> None:
    """On the server's own machine the run folder tells what a gateway that hangs cannot."""
    # Imported here: commands that talk to a server that answers need nothing of the server's own code.
    from orchestrator.cluster.states import figures_of, read_states, steady_ms
    from orchestrator.gateway.health.troubles import troubles_of_processes

    if states := read_states(Path(running.run), now_ms=steady_ms()) if running.run else {}:
        _show_troubles(troubles_of_processes(states, steady_ms()))
        _show_processes(figures_of(states, steady_ms()))


def _show(url: str, answer: dict[str, Any]) -> None:
    """What is wrong first, a line each; then the processes, the figures and the accounts."""
    out = console()
    reasons, accounts = answer.pop("reasons", []), answer.pop("accounts", [])
    processes = answer.pop("processes", {})
    _show_troubles([*reasons, *answer.pop("policy_troubles", []), *answer.pop("webhook_troubles", [])])
    for remark in (remarks := answer.pop("policy_remarks", [])):
        out.print(Text.assemble(("? ", "bold yellow"), f"was this meant, in the policy's folder: {remark}"))
    if remarks:
        out.print()
    _show_processes(processes)
    if kept := answer.get("retention", {}).get("kept_days"):
        answer["retention"]["kept_days"] = {kind: _kept(days) for kind, days in kept.items()}
    print_fields({"url": url, **answer})
    out.print()
    print_table(accounts, ("account", "kind", "address"), empty="no channel accounts")


def _show_troubles(lines: list[str]) -> None:
    out = console()
    for line in lines:
        out.print(Text.assemble(("✗ ", "bold red"), line))
    if lines:
        out.print()


def _show_processes(processes: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [{"process": name, **state, "for": _for(state["seconds"])} for name, state in processes.items()]
    if rows:
        print_table(rows, PROCESS_COLUMNS, empty="")
        console().print()


def _kept(days: float) -> str:
    """As the policy says it: 0 is no limit, and less than a day is hours."""
    if not days:
        return "for ever"
    return f"{days:g}" if days >= 1 else f"{days * 24:.2g} h"


def _for(seconds: int) -> str:
    """A duration in its two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
