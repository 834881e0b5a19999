"""`throughline report`: what can be counted, as a table, CSV or JSON; and what becomes of what stands out."""

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json, Limit
from orchestrator.cli.output import console, json_or_table, print_fields, print_json, print_table
from orchestrator.cli.server import part
from orchestrator.cli.spread import Commands
from orchestrator.cli.timeline import span
from orchestrator.cli.titles import Titles

app = Commands(help="Count what matters.", no_args_is_help=True)

COUNTED = {
    "closed_conversations": "closed conversations",
    "quarantine_open": "quarantined inputs",
    "quarantine_replayed": "quarantined inputs that came in",
    "identity_reviews": "reviews of identities",
}
"""What the report's measures are counted of, as retention calls it."""
COLUMNS = ("measure", "count", "occasions", "channels", "team", "product", "week", "examples", "mend", "rule")
FINDING_COLUMNS = ("finding", "state", "measure", "found", "channels", "team", "product", "look_at", "after", "outcome")
RUN_COLUMNS = ("report", "at_ms", "actor", "policy", "from_ms", "until_ms", "lines", "opened", "compared")
SHOWN_COLUMNS = ("seq", "at_ms", "actor", "type", "what")
PATH = "/v1/reports/context-loss"
COUNTED_WITHIN_S = 300.0
"""A report on years of a busy desk takes its time; the server cuts it off before."""
Finding = Annotated[str, typer.Argument(metavar="FINDING", help="A finding's id, such as report-3.")]
Id = Annotated[str, typer.Option("--id", help="The command's id: the same one again has one effect.")]


@app.callback()
def _report() -> None:
    """Count what matters."""


@app.command("context-loss", epilog="Example: throughline report context-loss --channel sms --week 2026-11-25")
def context_loss(
    *,
    since: Annotated[str, typer.Option("--since", help="A day or time, such as 2026-11-01.")] = "",
    until: Annotated[str, typer.Option("--until", help="A day or time; what is before it.")] = "",
    week: Annotated[str, typer.Option("--week", help="A day: the week it is in, Monday to Sunday in UTC.")] = "",
    channel: Annotated[str, typer.Option("--channel", help="Only with this channel on either side.")] = "",
    team: Annotated[str, typer.Option("--team", help="Only of this team, which is a queue.")] = "",
    product_line: Annotated[str, typer.Option("--product-line", help="Only of this product line.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    at: At,
    as_json: Json = False,
) -> None:
    """Where context gets lost, by channel pair, team, product line and week, of how many occasions, with examples and
    the file and rule of the policy bundle to look at."""
    if as_csv and as_json:
        raise Failure(Exit.USAGE, "--csv and --json: choose one")
    if week and (since or until):
        raise Failure(Exit.USAGE, "--week is a time of its own: leave --since and --until out")
    bounds = span(since, until) | {"week": week}
    groups = {"channel": channel, "team": team, "product_line": product_line}
    with at.server(timeout_s=COUNTED_WITHIN_S) as server:
        answer = server.get(PATH, **bounds, **groups)
        if as_json:
            print_json(answer)
        elif as_csv:
            _print_csv(answer["rows"])
        else:
            rows = Titles(server).rows(answer["rows"])
            print_table(rows, COLUMNS, empty="nothing was lost that is counted here")
            _explain(answer["rows"])
            _print_retained(answer.get("retained", []))


@app.command("run", epilog="Example: throughline report run")
def run(*, id: Id = "", at: At, as_json: Json = False) -> None:
    """Make a report now, of the policy's window: open findings, and compare those that were changed."""
    with at.server(timeout_s=COUNTED_WITHIN_S) as server:
        made = server.post(f"{PATH}/runs", {"id": id})
    if as_json:
        print_json(made)
        return
    print_fields(made)
    console().print(Text("\nLook:  throughline report findings --state open", style="dim"))


@app.command("runs", epilog="Example: throughline report runs --limit 5")
def runs(*, limit: Limit = 100, at: At, as_json: Json = False) -> None:
    """List the reports that were made, by the policy's schedule or on demand, the newest first."""
    with at.server() as server:
        answer = server.get(f"{PATH}/runs", limit=limit)
    json_or_table(
        answer, RUN_COLUMNS, empty="no report was made yet; report.yaml of the policy says when one is", as_json=as_json
    )


@app.command("findings", epilog="Example: throughline report findings --state open")
def findings(
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="open, changed, compared or dismissed; several may be given.")
    ] = None,
    limit: Limit = 100,
    before: Annotated[str, typer.Option("--before", help="What the page before ended with.")] = "",
    at: At,
    as_json: Json = False,
) -> None:
    """List what stood out, the newest first, and what became of it."""
    with at.server() as server:
        answer = server.get(f"{PATH}/findings", states=",".join(state or []), limit=limit, before=before)
        if as_json:
            print_json(answer)
            return
        rows = Titles(server).rows(map(_summed, answer["findings"]))
        print_table(rows, FINDING_COLUMNS, empty="nothing stands out")
    if answer["next"]:
        console().print(Text(f"more: --before {answer['next']}", style="dim"))


@app.command("show", epilog="Example: throughline report show report-3")
def show(finding: Finding, *, at: At, as_json: Json = False) -> None:
    """Show one finding: its figures, its examples, the rule to look at, and all that happened to it."""
    with at.server() as server:
        answer = server.get(f"{PATH}/findings/{part(finding)}")
        if as_json:
            print_json(answer)
        else:
            _show(Titles(server).row(answer))


@app.command("resolve", epilog="Example: throughline report resolve report-3 --version 7")
def resolve(
    finding: Finding,
    *,
    version: Annotated[
        int, typer.Option("--version", min=0, help="The version of the policy that changed it; 0: the one in force.")
    ] = 0,
    id: Id = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that a version of the policy changed it: the report compares before and after, a whole window later. Where
    the version changed the very file that the finding names, this is noted without you."""
    with at.server() as server:
        answer = server.post(f"{PATH}/findings/{part(finding)}/resolve", {"version": version, "id": id})
    if as_json:
        print_json(answer)
    else:
        console().print(Text(f"{finding}: changed in version {answer['changed_version']}."))


@app.command("dismiss", epilog="Example: throughline report dismiss report-3 --reason 'a test of the web team'")
def dismiss(
    finding: Finding,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why nothing is to be changed.")],
    id: Id = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that it needs no change, and why."""
    with at.server() as server:
        answer = server.post(f"{PATH}/findings/{part(finding)}/dismiss", {"reason": reason, "id": id})
    if as_json:
        print_json(answer)
    else:
        console().print(Text(f"{finding}: dismissed."))


def _explain(rows: Iterable[dict[str, Any]]) -> None:
    """What each measure that is shown means."""
    meanings = {row["measure"]: row["meaning"] for row in rows}
    out = console()
    if meanings:
        out.print()
    for measure, meaning in meanings.items():
        out.print(Text.assemble((f"{measure:<24}", "bold"), f"{meaning}"))


def _print_retained(kinds: list[dict[str, Any]]) -> None:
    """That older weeks look better than they were, since what retention dropped is not counted."""
    for row in kinds:
        if row["kind"] in COUNTED:
            day = datetime.fromtimestamp(row["before_ms"] / 1000, UTC).date().isoformat()
            told = f"not counted: {row['dropped']} {COUNTED[row['kind']]}, dropped by retention, over before {day}"
            console().print(Text(told))


def _summed(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding as a line: figures as `12 of 40`."""
    compared = finding["after_count"] is not None
    return {
        **finding,
        "found": _of(finding["count"], finding["occasions"]),
        "look_at": _place(finding),
        "after": _of(finding["after_count"], finding["after_occasions"]) if compared else "",
    }


def _show(finding: dict[str, Any]) -> None:
    shown = _summed(finding)
    if finding["after_count"] is not None:
        shown["before"] = _of(finding["before_count"], finding["before_occasions"])
    names = ("finding", "state", "measure", "channels", "team", "product", "found", "from_ms", "until_ms", "look_at")
    more = ("examples", "earlier", "changed_version", "changed_rules", "changed_by", "before", "after", "outcome")
    wanted = (*names, *more, "reason", "dismissed_by")
    print_fields({name: shown[name] for name in wanted if shown.get(name)})
    rows = [{**event, "what": _what(event)} for event in finding["history"]]
    console().print()
    print_table(rows, SHOWN_COLUMNS, empty="")


def _what(event: dict[str, Any]) -> str:
    match event["type"]:
        case "FindingOpened":
            line = event["line"]
            return f"{_of(line['count'], line.get('occasions', 0))}, under version {event['policy']}"
        case "FindingChanged":
            return f"in version {event['version']}: {', '.join(event.get('rules', [])) or 'as somebody said'}"
        case "FindingCompared":
            again = "; open again" if event.get("reopened") else ""
            before = _of(event["before_count"], event["before_occasions"])
            return f"{event['outcome']}: {before} before, {_of(event['count'], event['occasions'])} after{again}"
        case _:
            return str(event.get("reason", ""))


def _of(count: int, occasions: int) -> str:
    """`3 of 40 (7.5%)`."""
    return f"{count} of {occasions} ({count / occasions:.1%})" if occasions else str(count)


def _place(finding: dict[str, Any]) -> str:
    return f"{finding['file']}: {finding['rule']}" if finding["rule"] else str(finding["file"])


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """RFC 4180, with a header; examples are separated by spaces. A text that a spreadsheet would take for a formula
    begins with an apostrophe: queues and channels are named by people."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_plain(row[column]) for column in COLUMNS])


def _plain(value: object) -> object:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in ("=", "+", "-", "@") else text
