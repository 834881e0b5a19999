"""The tree of commands, and what a command's end means to the shell.

Every command's help ends with an example, which `tests/orchestrator/cli/test_cli.py` checks against the tree.
"""

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from orchestrator.cli import (
    archive,
    conversation,
    customer,
    demo,
    export,
    imports,
    outbox,
    policy,
    quarantine,
    report,
    serve,
    status,
    timeline,
    token,
    webhook,
)
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.output import errors, write_what_is_meant
from orchestrator.cli.spread import Commands

app = Commands(
    name="throughline",
    help="One conversation per issue, whatever the channel.",
    epilog="Example: throughline serve, then in another terminal: throughline demo",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("status", epilog=status.EXAMPLE)(status.status)
app.command("timeline", epilog=timeline.EXAMPLE)(timeline.timeline)
app.command("import", epilog=imports.EXAMPLE)(imports.import_)
app.command("export", epilog=export.EXAMPLE)(export.export)
app.add_typer(token.app, name="token")
app.add_typer(conversation.app, name="conversation")
app.add_typer(customer.app, name="customer")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(outbox.app, name="outbox")
app.add_typer(webhook.app, name="webhook")
app.add_typer(policy.app, name="policy")
app.add_typer(report.app, name="report")
app.add_typer(archive.app, name="archive")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"throughline {version('throughline')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """One conversation per issue, whatever the channel."""


def main() -> None:
    """Runs the command line and exits with a code of `exits.Exit`."""
    write_what_is_meant()
    try:
        _check_typed(sys.argv[1:])
        app()
    except Failure as failure:
        _say(failure)
        sys.exit(int(failure.exit_code))
    except KeyboardInterrupt:
        sys.exit(int(Exit.INTERRUPTED))


def _check_typed(words: Sequence[str]) -> None:
    """That every word is text. What a shell of another coding typed, Python keeps as halves of surrogate pairs (PEP
    383), which no file of ours and no request can hold: it would fail wherever it is first written, perhaps midway."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as exc:
            text = f"{ascii(word)[1:-1][:64]} is not UTF-8, which this shell's words have to be"
            raise Failure(Exit.USAGE, f"{text}: use a terminal of UTF-8, or write it without such letters") from exc


def _say(failure: Failure) -> None:
    if "--json" in sys.argv:
        sys.stderr.write(json.dumps({"error": failure.as_json()}, ensure_ascii=False) + "\n")
        return
    errors().print(Text.assemble(("throughline: ", "bold red"), failure.message))
