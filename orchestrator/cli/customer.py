"""`throughline customer`: who is who."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from orchestrator.cli import erasing
from orchestrator.cli.erasing import WhenStopped, Yes, keeping, now_ms, on_stopped, operator, reason_of
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Folder, Json, Limit, SettingsFile, Token, Url
from orchestrator.cli.output import console, json_or_fields, print_fields, print_json, print_table, progress_bar
from orchestrator.cli.server import WHO, Server, part
from orchestrator.cli.spread import Commands
from orchestrator.settings import Settings

app = Commands(help="Say who is who.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(metavar="CUSTOMER", help=WHO)]
Identity = Annotated[str, typer.Argument(help="kind:value, such as tel:+447700900123 or mailto:ann@example.org.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: kept with the fact.")]
COLUMNS = (
    "identity",
    "kind",
    "customer",
    "evidence",
    "verified",
    "owner",
    "owner_evidence",
    "owner_verified",
    "claimants",
    "found_at_ms",
)
IDENTITY_COLUMNS = ("identity", "evidence", "confidence", "verified", "linked_by", "linked_at_ms")
CONVERSATION_COLUMNS = ("conversation", "status", "queue", "owner", "channel", "subject", "updated_at_ms")


@app.command("show", epilog="Example: throughline customer show tel:+447700900123")
def show(customer: Who, *, at: At, as_json: Json = False) -> None:
    """Show who a customer is: their addresses, with what each rests on, and their conversations."""
    with at.server() as server:
        id = server.customer(customer)
        answer = _whole(server, id)
    if as_json:
        print_json(answer)
        return
    members = ", ".join(answer["members"])
    print_fields({"customer": id, "merged_into": answer["merged_into"], "members": members})
    for name, columns in (("identities", IDENTITY_COLUMNS), ("conversations", CONVERSATION_COLUMNS)):
        console().print(Text(f"\n{name}", style="bold"))
        print_table(answer[name], columns, empty="none")


def _whole(server: Server, customer: str) -> dict[str, Any]:
    """The server's answer, with the conversations of all its pages."""
    path = f"/v1/customers/{part(customer)}/journey"
    answer: dict[str, Any] = server.get(path)
    while after := answer.pop("next", ""):
        page = server.get(path, after=after)
        answer["conversations"] += page["conversations"]
        answer["next"] = page["next"]
    return answer


@app.command("link", epilog="Example: throughline customer link cu7q2mzj4xk5w3n6ab mailto:ann@example.org")
def link(
    customer: Who,
    identity: Identity,
    *,
    evidence: Annotated[str, typer.Option("--evidence", help="Why: agent, crm, login or verified_by_otp.")] = "agent",
    confidence: Annotated[
        int, typer.Option("--confidence", min=0, max=100, help="How sure, in percent; 0: as the policy says.")
    ] = 0,
    at: At,
    as_json: Json = False,
) -> None:
    """Say that an identity belongs to a customer; refused where it is another's."""
    command: dict[str, Any] = {"do": "link_identity", "identity": identity, "evidence": evidence}
    if confidence:
        command["confidence"] = confidence
    _say(customer, command, at, {"linked": identity}, as_json=as_json)


@app.command("erase", epilog='Example: throughline customer erase cu7q2mzj4xk5w3n6ab --reason "their request of 3 May"')
def erase(
    customer: Who,
    *,
    reason: erasing.Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be found, and erase nothing.")] = False,
    yes: Yes = False,
    when_stopped: WhenStopped = False,
    settings: SettingsFile = None,
    data: Folder = None,
    url: Url = "",
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Forget a person: personal data goes from all files, statistics stay, the act is recorded. The server must be
    stopped, or, with --when-stopped, does it when it is. Interrupted, run it again."""
    if dry_run:
        if when_stopped:
            raise Failure(Exit.USAGE, "--dry-run looks at once, on a stopped server: leave --when-stopped out")
        found = _survey(keeping(settings, data), customer)
        json_or_fields(found, found, as_json=as_json)
        return
    said = reason_of(reason)
    if when_stopped:
        _ask(customer, said, yes=yes, at=At(url=url, token=token, data=data), as_json=as_json)
        return
    erased = _erase(keeping(settings, data), customer, said, yes=yes)
    json_or_fields(erased, erased, as_json=as_json)


def _ask(customer: str, reason: str, *, yes: bool, at: At, as_json: bool) -> None:
    with at.server() as server:
        id = server.customer(customer)
        if not yes and not typer.confirm(f"Erase {_both(id, customer)} when the server is next stopped?", err=True):
            raise Failure(Exit.REFUSED, "nothing was asked")
        answer = server.post(f"/v1/customers/{part(id)}/erasure", {"reason": reason})
    fields = {"customer": id, "erased": "not yet: when the server is next stopped or started"}
    json_or_fields(answer, fields, as_json=as_json)


def _both(id: str, given: str) -> str:
    """Who is to be forgotten, in words that whoever is asked can check."""
    return f"{id} for ever" if id == given else f"{id}, who has {given}, for ever"


@app.command("erasures", epilog="Example: throughline customer erasures")
def erasures(*, at: At, as_json: Json = False) -> None:
    """List the erasures that wait for the server to be stopped; until then nothing of these persons is gone."""
    with at.server() as server:
        answer = server.get("/v1/erasures")
    if as_json:
        print_json(answer)
    else:
        columns = ("customer", "quarantine", "asked_at_ms", "actor", "reason", "tried_at_ms", "refused")
        print_table(answer, columns, empty="no erasure waits")


@app.command("keep", epilog="Example: throughline customer keep cu7q2mzj4xk5w3n6ab")
def keep(customer: Who, *, at: At, as_json: Json = False) -> None:
    """Take back an erasure that waits."""
    with at.server() as server:
        id = server.customer(customer)
        answer = server.post(f"/v1/customers/{part(id)}/erasure/withdraw")
    json_or_fields(answer, {"customer": id, "erasure": "taken back"}, as_json=as_json)


def _survey(settings: Settings, customer: str) -> dict[str, Any]:
    # Imported here, as for `_erase`.
    from orchestrator.erasure.erasing import customer_meant, survey

    def steps() -> dict[str, Any]:
        return msgspec.structs.asdict(asyncio.run(survey(settings, asyncio.run(customer_meant(settings, customer)))))

    return on_stopped(Path(settings.data), steps)


def _erase(settings: Settings, customer: str, reason: str, *, yes: bool) -> dict[str, Any]:
    # Imported here: the stores are needed by no command that talks to a server.
    from orchestrator.erasure.erasing import Act, Erased, customer_meant, erase

    def steps() -> Erased:
        id = asyncio.run(customer_meant(settings, customer))
        if not yes and not typer.confirm(f"Erase {_both(id, customer)}?", err=True):
            raise Failure(Exit.REFUSED, "nothing was erased")
        act = Act(customer=id, actor=operator(), reason=reason, at_ms=now_ms())
        with progress_bar() as progress:
            task = progress.add_task(f"Redacting {id}", total=None)
            return asyncio.run(erase(settings, act, lambda at, head: progress.update(task, completed=at, total=head)))

    return msgspec.structs.asdict(on_stopped(Path(settings.data), steps))


@app.command("unlink", epilog="Example: throughline customer unlink cu7q2mzj4xk5w3n6ab tel:+447700900123 --reason sold")
def unlink(
    customer: Who,
    identity: Identity,
    *,
    reason: Reason = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that an identity is not this customer's; what was said under it stays where it was said."""
    command = {"do": "unlink_identity", "identity": identity, "reason": reason}
    _say(customer, command, at, {"unlinked": identity}, as_json=as_json)


Keeps = Annotated[str, typer.Argument(metavar="CUSTOMER", help="Who keeps their id: that, or an address of theirs.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="The other one: an id, or an address of theirs.")]
Member = Annotated[
    str, typer.Argument(metavar="OTHER", help="The id of the other one: `customer show` has it among the members.")
]


@app.command(
    "merge", epilog="Example: throughline customer merge cu7q2mzj4xk5w3n6ab cu7q2p0d1mc8r2k4vt --reason called"
)
def merge(
    customer: Keeps,
    other: Other,
    *,
    reason: Reason = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that two customers are one person: what is OTHER's is CUSTOMER's from then on. Undone by unmerge."""
    with at.server() as server:
        other = server.customer(other)
    command = {"do": "merge_customers", "other": other, "reason": reason}
    _say(customer, command, at, {"merged": other}, as_json=as_json)


@app.command("unmerge", epilog="Example: throughline customer unmerge cu7q2mzj4xk5w3n6ab cu7q2p0d1mc8r2k4vt")
def unmerge(
    customer: Keeps,
    other: Member,
    *,
    reason: Reason = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that a merged customer is somebody else: each contact goes back with its own identity."""
    command = {"do": "unmerge_customers", "other": other, "reason": reason}
    _say(customer, command, at, {"unmerged": other}, as_json=as_json)


def _say(
    customer: str,
    command: dict[str, Any],
    at: At,
    done: dict[str, str],
    *,
    as_json: bool,
) -> None:
    """Sends the command, and shows what was done and the position it stands at in the journal."""
    with at.server() as server:
        customer = server.customer(customer)
        answer = server.post(f"/v1/customers/{part(customer)}/commands", {"command": command})
    if as_json:
        print_json(answer)
    else:
        print_fields({"customer": customer, **done, "position": answer["position"]})


@app.command("reviews", epilog="Example: throughline customer reviews --shared-after 2")
def reviews(
    *,
    shared_after: Annotated[
        int,
        typer.Option(
            "--shared-after",
            min=0,
            help="Identities that more customers claim are shown as shared; 0: as the policy says.",
        ),
    ] = 0,
    limit: Limit = 100,
    at: At,
    as_json: Json = False,
) -> None:
    """List what people have to decide about who is who, the newest first."""
    with at.server() as server:
        answer = server.get("/v1/identity/reviews", shared_after=shared_after, limit=limit)
    if as_json:
        print_json(answer)
    else:
        print_table(answer["reviews"], COLUMNS, empty="there is nothing to decide")


@app.command("close-review", epilog="Example: throughline customer close-review cu7q2mzj4xk5w3n6ab web:7 --reason shop")
def close_review(
    customer: Who,
    identity: Identity,
    *,
    other: Annotated[str, typer.Option("--other", help="The other customer, as the review names it.")] = "",
    reason: Reason = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Say that a review needs nothing more; the same conflict is not raised again."""
    command = {"do": "close_identity_review", "identity": identity, "other": other, "reason": reason}
    _say(customer, command, at, {"closed": identity}, as_json=as_json)
