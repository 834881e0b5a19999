"""The commands, each with an example."""

from collections.abc import Callable

from benchmarks.commands.beside_events import context, merge, policy
from benchmarks.commands.of_a_server import latency, memory, placement, recovery, throughput
from benchmarks.commands.without_a_server import archive, decide, report
from orchestrator.cli.spread import Commands

app = Commands(help="Measure a Throughline server.", no_args_is_help=True)

COMMANDS: dict[Callable[..., None], str] = {
    throughput: "throughput --seconds 10 --json",
    latency: "latency --rate 100 --rate 5000 --seconds 20",
    context: "context --rate 200 --events 2000 --seconds 60 --check",
    policy: "policy --rate 5000 --seconds 60 --check",
    merge: "merge --events 10000 --check",
    memory: "memory --conversations 20000 --agents 200",
    recovery: "recovery --conversations 10000 --watched 200",
    placement: "placement --conversations 12",
    archive: "archive --events 1000000 --batch-of 8000",
    decide: "decide --bundle utility",
    report: "report --events 500000 --each 40",
}

for _command, _example in COMMANDS.items():
    app.command(epilog=f"Example: python -m benchmarks {_example}")(_command)


@app.callback()
def _benchmarks() -> None:
    """Keeps a command's name, however many there are."""
