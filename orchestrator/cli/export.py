"""`throughline export`: a conversation as a vCon."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At
from orchestrator.cli.output import print_json
from orchestrator.cli.server import part

EXAMPLE = "Example: throughline export cu7q2mzj4xk5w3n6ab-1 --out bill.vcon"


def export(
    conversation: Annotated[str, typer.Argument(metavar="CONVERSATION", help="The conversation's id.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="A file to write; it must not be there yet.")] = None,
    at: At,
) -> None:
    """Write a conversation as a vCon (draft-ietf-vcon-vcon-core-04), unsigned JSON, to standard output or a file."""
    with at.server() as server:
        answer = server.get(f"/v1/conversations/{part(conversation)}/vcon")
    if out is None:
        print_json(answer)
        return
    try:
        # For its owner alone, whatever the shell's umask is: it has all that a customer said.
        with open(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(answer, file, ensure_ascii=False, indent=2)
    except OSError as exc:
        raise Failure(Exit.USAGE, f"--out {out} cannot be written: {exc.strerror}") from exc
