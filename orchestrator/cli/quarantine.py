"""`throughline quarantine`: inputs that were refused after their sender was known, kept whole."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from orchestrator.cli.erasing import Reason, WhenStopped, Yes, keeping, now_ms, on_stopped, operator, reason_of
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Folder, Json, Limit, SettingsFile, Token, Url, duration_ms
from orchestrator.cli.output import errors, json_or_fields, json_or_table, print_fields, print_json, progress_bar
from orchestrator.cli.server import part
from orchestrator.cli.spread import Commands
from orchestrator.cli.timeline import check_order
from orchestrator.settings import Settings

app = Commands(help="See what was refused and take it in after all.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="A quarantined input's id.")]
COLUMNS = (
    "quarantine",
    "received_ms",
    "account",
    "source",
    "id",
    "code",
    "rule",
    "field",
    "reason",
    "replayed_at_ms",
)
FOUND_COLUMNS = ("quarantine", "stream", "received_ms", "source", "id", "reason", "replayed_stream")


@app.command("list", epilog="Example: throughline quarantine list --account mail")
def list_(
    *,
    account: Annotated[str, typer.Option("--account", help="Only this channel account's.")] = "",
    code: Annotated[int, typer.Option("--code", help="Only this code of the error table: 4204 has no identity.")] = 0,
    field: Annotated[str, typer.Option("--field", help="Only those with this field at fault.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="Only of `schema`, `once` or `capture:<template>`.")] = "",
    older_than: Annotated[str, typer.Option("--older-than", help="Refused longer ago: 30m, 12h, 7d.")] = "",
    newer_than: Annotated[str, typer.Option("--newer-than", help="Refused since then: 30m, 12h, 7d.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Without what came in after all.")] = False,
    limit: Limit = 100,
    at: At,
    as_json: Json = False,
) -> None:
    """List quarantined inputs, the newest first, with the reason of each."""
    wanted: dict[str, str | int] = {"account": account, "code": code or "", "field": field, "rule": rule}
    since_ms, until_ms = _ago(newer_than, "--newer-than"), _ago(older_than, "--older-than")
    check_order(since_ms, until_ms, "what is --older-than that is not --newer-than this")
    wanted |= {"since_ms": since_ms, "until_ms": until_ms}
    with at.server() as server:
        answer = server.get("/v1/quarantine", **wanted, waiting="true" if waiting else "", limit=limit)
    json_or_table(answer, COLUMNS, empty="nothing is in quarantine", as_json=as_json)


@app.command("search", epilog='Example: throughline quarantine search --text "Baker Street" --account form')
def search(
    *,
    text: Annotated[str, typer.Option("--text", help="Words that stand in it in a row, in whatever case.")] = "",
    address: Annotated[str, typer.Option("--address", help="kind:value, in whatever spelling it stands there.")] = "",
    account: Annotated[str, typer.Option("--account", help="Only this channel account's.")] = "",
    older_than: Annotated[str, typer.Option("--older-than", help="Refused longer ago: 30m, 12h, 7d.")] = "",
    newer_than: Annotated[str, typer.Option("--newer-than", help="Refused since then: 30m, 12h, 7d.")] = "",
    limit: Limit = 100,
    at: At,
    as_json: Json = False,
) -> None:
    """Find quarantined inputs by what is in them, in whatever coding it came: words, an address, or both."""
    wanted: dict[str, str | int] = {"text": text, "address": address, "account": account}
    wanted |= {"since_ms": _ago(newer_than, "--newer-than"), "until_ms": _ago(older_than, "--older-than")}
    found: list[Any] = []
    too_large: list[str] = []
    with at.server() as server:
        before = ""
        while True:
            page = server.get("/v1/quarantine/search", **wanted, limit=limit - len(found), before=before)
            found += page["found"]
            too_large += page["too_large"]
            before = page["next"]
            if not before or len(found) >= limit:
                break
    if as_json:
        print_json({"found": found, "too_large": too_large})
        return
    json_or_table(found, FOUND_COLUMNS, empty="nothing in quarantine has that in it", as_json=False)
    if too_large:
        errors().print(Text(f"Not looked into, since larger than 1 MiB: {', '.join(too_large)}"))


@app.command("show", epilog="Example: throughline quarantine show chat.7 --event")
def show(
    quarantine: Id,
    *,
    event: Annotated[
        bool, typer.Option("--event", help="Only the event in it, as JSON: edit it, and give it to `replay --event`.")
    ] = False,
    at: At,
    as_json: Json = False,
) -> None:
    """Show one input as it came, with what is wrong with it: the field, and the rule and policy version."""
    with at.server() as server:
        answer = server.get(f"/v1/quarantine/{part(quarantine)}")
    if event and answer.get("event") is None:
        raise Failure(
            Exit.REFUSED, f"no event can be read in {quarantine}, or its account is gone; `show` has it as it came"
        )
    if as_json or event:
        print_json(answer["event"] if event else answer)
    else:
        # One of them says it all; the bytes alone do where they are no text.
        left_out = {"event", *(["raw"] if answer.get("text") is not None else [])}
        print_fields({name: value for name, value in answer.items() if name not in left_out})


@app.command("replay", epilog="Example: throughline quarantine replay chat.7 --identity tel:+447700900123")
def replay(
    quarantine: Id,
    *,
    event: Annotated[
        Path | None,
        typer.Option(
            "--event", help="A file with the event as it is to come in: `show --event`, edited; - is the input."
        ),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option("--identity", help="Whose it is, such as tel:+447700900123; several may be given."),
    ] = None,
    customer: Annotated[
        str, typer.Option("--customer", help="Whose it is: a customer's id, or an address of theirs.")
    ] = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Take an input in after all, once, at its own time: as it is, edited, or as the event of whoever you say."""
    body: dict[str, Any] = {"event": _event(event)} if event is not None else {}
    body |= {"identities": identity} if identity else {}
    body |= {"customer": customer} if customer else {}
    with at.server() as server:
        answer = server.post(f"/v1/quarantine/{part(quarantine)}/replay", body)
    json_or_fields(answer, {"replayed": quarantine, **(answer or {})}, as_json=as_json)


@app.command("erase", epilog='Example: throughline quarantine erase chat.7 --reason "a request of 3 May"')
def erase(
    quarantine: Id,
    *,
    reason: Reason,
    yes: Yes = False,
    when_stopped: WhenStopped = False,
    settings: SettingsFile = None,
    data: Folder = None,
    url: Url = "",
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Forget one input that an account refused: what came goes from all files, the act is recorded. The server must be
    stopped, or, with --when-stopped, does it when it is. Interrupted, run it again."""
    said = reason_of(reason)
    if when_stopped:
        if not yes and not typer.confirm(f"Erase {quarantine} for ever when the server is next stopped?", err=True):
            raise Failure(Exit.REFUSED, "nothing was asked")
        with At(url=url, token=token, data=data).server() as server:
            answer = server.post(f"/v1/quarantine/{part(quarantine)}/erasure", {"reason": said})
        fields = {"quarantine": quarantine, "erased": "not yet: when the server is next stopped or started"}
        json_or_fields(answer, fields, as_json=as_json)
        return
    erased = _erase(keeping(settings, data), quarantine, said, yes=yes)
    json_or_fields(erased, erased, as_json=as_json)


def _erase(settings: Settings, quarantine: str, reason: str, *, yes: bool) -> dict[str, Any]:
    # Imported here: the stores are needed by no command that talks to a server.
    from orchestrator.erasure.inputs import ErasedInput, InputAct, erase_input

    def steps() -> ErasedInput:
        if not yes and not typer.confirm(f"Erase {quarantine} for ever?", err=True):
            raise Failure(Exit.REFUSED, "nothing was erased")
        act = InputAct(quarantine=quarantine, actor=operator(), reason=reason, at_ms=now_ms())
        with progress_bar() as progress:
            task = progress.add_task(f"Redacting {quarantine}", total=None)
            return asyncio.run(
                erase_input(settings, act, lambda at, head: progress.update(task, completed=at, total=head))
            )

    return msgspec.structs.asdict(on_stopped(Path(settings.data), steps))


@app.command("keep", epilog="Example: throughline quarantine keep chat.7")
def keep(quarantine: Id, *, at: At, as_json: Json = False) -> None:
    """Take back the erasure of an input that waits; `throughline customer erasures` lists them all."""
    with at.server() as server:
        answer = server.post(f"/v1/quarantine/{part(quarantine)}/erasure/withdraw")
    json_or_fields(answer, {"quarantine": quarantine, "erasure": "taken back"}, as_json=as_json)


def _event(file: Path) -> Any:
    """The JSON object in a file. Raises `Failure`."""
    try:
        event = json.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as exc:
        raise Failure(Exit.USAGE, f"--event {file}: {exc.strerror}") from exc
    except ValueError as exc:
        raise Failure(Exit.USAGE, f"--event {file} is not JSON: {exc}") from exc
    if not isinstance(event, dict):
        raise Failure(Exit.USAGE, f"--event {file}: an event is one JSON object")
    return event


def _ago(text: str, option: str) -> int | str:
    """Then, in milliseconds since 1970 by this machine's clock; empty where nothing is said."""
    return time.time_ns() // 1_000_000 - duration_ms(text, option) if text else ""
