"""`throughline policy`: the rules that business owners write, from a folder to every cell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json, Limit, SettingsFile, as_called, settings_of
from orchestrator.cli.output import console, errors, json_or_table, print_fields, print_json, print_table
from orchestrator.cli.spread import Commands
from orchestrator.cli.titles import DIMENSIONS, PATH

if TYPE_CHECKING:
    from orchestrator.bundles.making import Made
    from orchestrator.bundles.reading import Wrong
    from orchestrator.cli.server import Server

app = Commands(help="Check, compare and apply the rules in a folder; look back and go back.", no_args_is_help=True)

Bundle = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the bundle's YAML files.")]
Note = Annotated[str, typer.Option("--note", help="Why: shown in the history.")]
Id = Annotated[str, typer.Option("--id", help="The application's id; repeating it has no second effect.")]
WRONG_COLUMNS = ("where", "text")
DIFFERENCE_COLUMNS = ("rule", "before", "after")
VERSION_COLUMNS = ("version", "at_ms", "actor", "note")
LABEL_COLUMNS = ("name", "title", "of")


@app.command("init", epilog="Example: throughline policy init --from insurer policy")
def init(
    folder: Bundle,
    *,
    origin: Annotated[str, typer.Option("--from", help="The bundle to begin with: insurer or utility.")] = "insurer",
    as_json: Json = False,
) -> None:
    """Copy a bundle that ships into a new folder, to begin with."""
    from orchestrator.bundles.folder import BundleError, copy_default

    try:
        files = copy_default(origin, folder)
    except BundleError as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    if as_json:
        print_json({"folder": str(folder), "files": files})
    else:
        console().print(Text(f"{folder}: {', '.join(files)}"))


@app.command("check", epilog="Example: throughline policy check policy")
def check(
    folder: Bundle,
    *,
    settings: SettingsFile = None,
    at: At,
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with a bundle, by file and line. Without a running server, by the settings here."""
    from orchestrator.bundles.reading import read

    files, wrong = _read(folder)
    remarks: list[dict[str, Any]] = []
    if wrong:
        # What the others say of these cannot be known; how they are written can.
        wrong = sorted([*wrong, *_as_rows(read(files).wrong)], key=lambda row: (row["file"], row["line"]))
    else:
        try:
            with at.by(settings).server() as server:
                answer = server.post("/v1/policy/check", {"files": files})
                wrong, remarks = answer["wrong"], answer.get("remarks", [])
        except Failure as failure:
            if failure.exit_code is not Exit.UNREACHABLE:
                raise
            errors().print(f"No server runs here: checked {_by_which(settings)}.", style="dim")
            made = _make(files, settings)
            wrong, remarks = _as_rows(made.wrong), _as_rows(made.remarks)
    _show_wrong(wrong, as_json=as_json)
    if as_json:
        print_json({"valid": True, "wrong": [], "remarks": remarks})
        return
    console().print(Text(f"{folder}: {len(files)} files, nothing is wrong."))
    _show_remarks(remarks)


@app.command("diff", epilog="Example: throughline policy diff policy")
def diff(
    folder: Bundle,
    *,
    against: Annotated[Path | None, typer.Option("--against", help="Compare with this folder, not the server.")] = None,
    settings: SettingsFile = None,
    at: At,
    as_json: Json = False,
) -> None:
    """Show what a bundle would change of what is in force, rule by rule."""
    files = _right(folder, as_json=as_json)
    if against is None:
        with at.by(settings).server() as server:
            rows = server.post("/v1/policy/diff", {"files": files})
            remarks = [] if as_json else _remarks(server, files)
    else:
        rows, remarks = _differences(_right(against, as_json=as_json), files, settings, as_json=as_json)
    json_or_table(rows, DIFFERENCE_COLUMNS, empty="nothing would change", as_json=as_json)
    if not as_json:
        _show_remarks(remarks)


@app.command("apply", epilog="Example: throughline policy apply policy --note 'autumn hours'")
def apply(
    folder: Bundle,
    *,
    note: Note = "",
    base: Annotated[
        int, typer.Option("--base", min=0, help="The version you began with: refused where another came since.")
    ] = 0,
    id: Id = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Make a bundle the next version, in every cell at once."""
    files = _right(folder, as_json=as_json)
    asked = {"files": files, "note": note, "base": base, "id": id}
    with at.server() as server:
        # Before: of a line that changes its channel nobody knows afterwards what it was.
        remarks = [] if as_json else _remarks(server, files)
        _show_applied(server.post("/v1/policy", asked), as_json=as_json)
    if not as_json:
        _show_remarks(remarks)


@app.command("history", epilog="Example: throughline policy history --limit 10")
def history(*, limit: Limit = 100, at: At, as_json: Json = False) -> None:
    """List the versions, the newest first: when, by whom, why."""
    with at.server() as server:
        rows = server.get("/v1/policy/versions", limit=limit)
    json_or_table(rows, VERSION_COLUMNS, empty="no versions", as_json=as_json)


@app.command("show", epilog="Example: throughline policy show 3 --to before")
def show(
    version: Annotated[int | None, typer.Argument(metavar="VERSION", help="Default: the one in force.")] = None,
    *,
    to: Annotated[Path | None, typer.Option("--to", help="Write its files into this new folder.")] = None,
    at: At,
    as_json: Json = False,
) -> None:
    """Show a version's files, or write them into a folder."""
    with at.server() as server:
        answer = server.get("/v1/policy" if version is None else f"/v1/policy/versions/{version}")
    files = answer.get("files", {})
    if to is not None:
        _write(files, to)
    if as_json:
        print_json(answer)
        return
    print_fields({name: value for name, value in answer.items() if name in VERSION_COLUMNS})
    for wrong in answer.get("troubles", []):
        console().print(Text(f"✗ not in force: {_where(wrong)}: {wrong['text']}", style="red"))
    _show_remarks(answer.get("remarks", []))
    for name, text in files.items() if to is None else ():
        console().print(Text(f"\n# {name}", style="bold"), Text(text), sep="\n")


@app.command("taxonomy", epilog="Example: throughline policy taxonomy")
def taxonomy(*, at: At, as_json: Json = False) -> None:
    """List what contacts can be about by the policy in force: the names that filters and commands take, with their
    titles."""
    with at.server() as server:
        answer = server.get(PATH)
    if as_json:
        print_json(answer)
        return
    rows = [{"of": of, **label} for of in answer if of in DIMENSIONS.values() for label in answer[of]]
    print_table(rows, LABEL_COLUMNS, empty="the policy in force has no taxonomy: taxonomy.yaml in a bundle makes one")


@app.command("rollback", epilog="Example: throughline policy rollback 3 --note 'too many transfers'")
def rollback(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version to go back to.")],
    *,
    note: Note = "",
    id: Id = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Make an earlier version's bundle the next version."""
    with at.server() as server:
        answer = server.post("/v1/policy/rollback", {"version": version, "note": note, "id": id})
    _show_applied(answer, as_json=as_json)


def _show_applied(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    late = answer["late"]
    words = (
        f"every cell that runs decides by it, but {len(late)} that will be told" if late else "every cell decides by it"
    )
    console().print(Text(f"Version {answer['version']} is in force: {words}."))
    if answer.get("live_conversations") == "pinned":
        # Whoever tries a new rule in a chat that is open already would look for a mistake where there is none.
        console().print(Text("Conversations that are open keep the version they began under (live_conversations)."))
    if watched := answer.get("watched"):
        # Whoever goes back in a hurry would find the other rules in force again.
        keep = f"`{as_called()} policy show {answer['version']} --to NEW`"
        console().print(Text(f"The server follows {watched}: a save there, or a start, puts its rules in force again."))
        console().print(Text(f"To keep this version, put its files there: {keep}."))


def _read(folder: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    from orchestrator.bundles.folder import BundleError, read_folder

    try:
        files, wrong = read_folder(folder)
    except BundleError as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    return files, _as_rows(wrong)


def _right(folder: Path, *, as_json: bool) -> dict[str, str]:
    files, wrong = _read(folder)
    _show_wrong(wrong, as_json=as_json)
    return files


def _remarks(server: "Server", files: dict[str, str]) -> list[dict[str, Any]]:
    remarks: list[dict[str, Any]] = server.post("/v1/policy/check", {"files": files}).get("remarks", [])
    return remarks


def _make(files: dict[str, str], settings: Path | None) -> "Made":
    from orchestrator.bundles.making import make
    from orchestrator.policy.first import set_up_of

    return make(files, set_up_of(settings_of(settings)))


def _differences(
    old: dict[str, str], new: dict[str, str], settings: Path | None, *, as_json: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rules that differ, and what is remarked on in the new ones."""
    from orchestrator.bundles.differences import differences
    from orchestrator.bundles.making import channels_of, make
    from orchestrator.policy.first import set_up_of

    given = set_up_of(settings_of(settings))
    before = make(old, given)
    after = make(new, given, channels_of(before.policy, given) if before.policy is not None else None)
    _show_wrong([row for each in (before, after) for row in _as_rows(each.wrong)], as_json=as_json)
    assert before.policy is not None
    assert after.policy is not None
    found = differences(before.policy, after.policy)
    return [{"rule": d.rule, "before": d.before, "after": d.after} for d in found], _as_rows(after.remarks)


def _by_which(settings: Path | None) -> str:
    """Whose accounts a bundle may name: another server's settings have others."""
    from orchestrator.settings.file import FILE_DEFAULT

    file = settings or Path(FILE_DEFAULT)
    accounts = ", ".join(account.name for account in settings_of(settings).accounts) or "none"
    said = f"by {file}" if file.exists() else f"without settings, since there is no {file} here"
    return f"{said}; its accounts are {accounts}"


def _as_rows(said: "list[Wrong]") -> list[dict[str, Any]]:
    return [{"file": each.file, "line": each.line, "text": each.text} for each in said]


def _show_wrong(wrong: list[dict[str, Any]], *, as_json: bool) -> None:
    """Ends the command where something is wrong."""
    if as_json and wrong:
        print_json({"valid": False, "wrong": wrong})
    elif wrong:
        print_table([{"where": _where(each), **each} for each in wrong], WRONG_COLUMNS, empty="")
    if wrong:
        raise typer.Exit(int(Exit.REFUSED))


def _show_remarks(remarks: list[dict[str, Any]]) -> None:
    if remarks:
        console().print(Text("Was this meant?"))
        print_table([{"where": _where(each), **each} for each in remarks], WRONG_COLUMNS, empty="")


def _where(wrong: dict[str, Any]) -> str:
    return f"{wrong['file']}:{wrong['line']}"


def _write(files: dict[str, str], folder: Path) -> None:
    if folder.exists():
        raise Failure(Exit.USAGE, f"{folder} is there already: give a new folder, so that nothing is overwritten")
    try:
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / Path(name).name).write_bytes(text.encode())
    except OSError as exc:
        raise Failure(Exit.USAGE, f"{folder} cannot be written: {exc.strerror}") from exc
