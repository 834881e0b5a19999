"""`throughline import`: contacts of the past, from a file."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from adapters.past import BadPast, Read, read_csv, read_json_lines
from adapters.past_vcon import read_vcons
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json
from orchestrator.cli.output import errors, print_fields, print_json, progress_bar
from orchestrator.cli.server import Server
from protocol.errors import Code
from protocol.inbound import InboundEvent

EXAMPLE = "Example: throughline import past.csv --account mail --channel email --dry-run"

REQUEST_EVENTS = 100
REQUEST_BYTES = 256 * 1024
"""Of one request, unless one contact alone is larger: below `http.body_bytes_max`."""
SHOWN_MAX = 20
"""Refusals that are shown one by one."""


def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines (.jsonl, .ndjson) or vCon (.vcon, .json).")],
    *,
    account: Annotated[str, typer.Option("--account", help="The channel account the contacts came by.")],
    channel: Annotated[str, typer.Option("--channel", help="Their channel, where the file does not say.")] = "",
    source: Annotated[
        str, typer.Option("--source", help="Names the system they are from: with its ids they come in once.")
    ] = "import",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all of it, and take nothing in.")] = False,
    at: At,
    as_json: Json = False,
) -> None:
    """Import contacts of the past: once, at their own times, closed; nobody is woken and nothing is sent. Exit code 1
    where one was refused; the others are in."""
    try:
        read = list(_read(file, account=account, channel=channel or "import", source=source))
    except BadPast as bad:
        raise Failure(Exit.USAGE, f"{file}: {bad}") from bad
    if not read:
        raise Failure(Exit.USAGE, f"{file}: there is no contact in it")
    # The newest last: a customer's next contact is related to what came in last.
    events = sorted((contact for contact in read if isinstance(contact, InboundEvent)), key=_time_ms)
    refused = [_unreadable(contact) for contact in read if isinstance(contact, BadPast)]
    counts = Counter({"refused": len(refused)} if refused else {})
    with at.server() as server, progress_bar() as progress:
        task = progress.add_task("Checking" if dry_run else "Importing", total=len(events))
        for batch in _batches(events):
            for answer in _post(server, batch, dry_run=dry_run):
                counts[answer["status"]] += 1
                if answer["status"] == "refused":
                    refused.append(answer)
            progress.advance(task, len(batch))
    _tell(counts, refused, dry_run=dry_run, as_json=as_json)
    if refused:
        raise typer.Exit(int(Exit.REFUSED))


def _time_ms(event: InboundEvent) -> int:
    return event.time_ms


def _unreadable(bad: BadPast) -> dict[str, Any]:
    """As the server answers; the message names the place in the file."""
    return {"id": "", "status": "refused", "code": int(Code.INVALID), "field": "", "message": str(bad)}


def _read(file: Path, **given: str) -> Iterator[Read]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise BadPast(f"it cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BadPast(_not_utf8(exc)) from exc
    match file.suffix.lower():
        case ".csv":
            # Newlines within quotes are the text's.
            yield from read_csv(StringIO(text, newline=""), **given)
        case ".jsonl" | ".ndjson":
            yield from read_json_lines(text.split("\n"), **given)
        case ".vcon" | ".json":
            yield from read_vcons(text, **given)
        case suffix:
            raise BadPast(f"{suffix or 'no ending'} is no known kind; it must end in .csv, .jsonl, .vcon or .json")


def _not_utf8(exc: UnicodeDecodeError) -> str:
    """Where, and what to do: spreadsheets save as their country did, or as UTF-16, unless they are asked."""
    if exc.object.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        where = "this is UTF-16"
    else:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        where = f"line {line}: this is not UTF-8, from byte {exc.start} of the file on"
    return f"{where}: save the file as UTF-8 (spreadsheets call it `CSV UTF-8`)"


def _batches(events: list[InboundEvent]) -> Iterator[list[InboundEvent]]:
    batch: list[InboundEvent] = []
    size = 0
    for event in events:
        length = len(msgspec.json.encode(event))
        if batch and (len(batch) == REQUEST_EVENTS or size + length > REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def _post(server: Server, batch: list[InboundEvent], *, dry_run: bool) -> list[dict[str, Any]]:
    try:
        answers: list[dict[str, Any]] = server.post(
            "/v1/import", {"events": msgspec.to_builtins(batch), "dry_run": dry_run}
        )
    except Failure as failure:
        if failure.code == Code.TOO_LARGE:
            return _post_each(server, batch, failure, dry_run=dry_run)
        if failure.exit_code is not Exit.UNREACHABLE or dry_run:
            raise
        text = f"{failure.message}; import the file again once it answers: what is in does not come in twice"
        raise Failure(failure.exit_code, text) from failure
    return answers


def _post_each(server: Server, batch: list[InboundEvent], failure: Failure, *, dry_run: bool) -> list[dict[str, Any]]:
    """What is too large together may fit by itself; what is too large by itself does not keep the others out."""
    if len(batch) > 1:
        return [answer for event in batch for answer in _post(server, [event], dry_run=dry_run)]
    return [{"id": batch[0].id, "status": "refused", "code": failure.code, "field": "", "message": failure.message}]


def _tell(counts: Counter[str], refused: list[dict[str, Any]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "counts": counts, "refused": refused})
        return
    print_fields({"dry run": "yes: nothing was taken in", **counts} if dry_run else counts)
    for answer in refused[:SHOWN_MAX]:
        errors().print(_told(answer), markup=False)
    if len(refused) > SHOWN_MAX:
        errors().print(f"and {len(refused) - SHOWN_MAX} more; --json has all", markup=False)


def _told(answer: dict[str, Any]) -> str:
    """In one line, whose contact's first: what has no id says its place in the file."""
    named = answer["message"].startswith(f"{answer['field']} ")
    said = answer["message"] if named else f"{answer['field'] or 'refused'}: {answer['message']}"
    return f"{answer['id']}: {said}" if answer["id"] else answer["message"]
