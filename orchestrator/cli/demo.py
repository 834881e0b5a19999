"""`throughline demo`: a customer's chat, mail and SMS against the running server, with a proof at the end."""

import asyncio
import time
from contextlib import nullcontext
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from orchestrator.cli.conversation import whole
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json, SettingsFile, settings_of, to_copy
from orchestrator.cli.output import console, errors, print_json, rule
from orchestrator.cli.server import Server
from orchestrator.settings import GatewayAccount, Settings
from protocol.errors import Code, Refusal

if TYPE_CHECKING:
    from orchestrator.demo.play import Told

EXAMPLE = "Example: throughline demo --data ./data"
ARCHIVE_S = 10.0
"""How long the archive may take to have what the agent saw."""
LOOK_AGAIN_S = 0.05
OUTBOX_MAX = 1000
"""Deliveries looked through for those that are not the demo's."""


def demo(*, settings: SettingsFile = None, at: At, as_json: Json = False) -> None:
    """Play one customer's chat, mail and SMS, show what an agent sees, and answer. Can be repeated."""
    # Imported here, because no other command speaks WebSocket or SMTP.
    from orchestrator.demo.cast import meet
    from orchestrator.demo.outside import Unplayable, playable
    from orchestrator.demo.play import Doors, Missing, play
    from orchestrator.demo.screen import Lines, Silent

    chosen = settings_of(settings, at.data)
    running = msgspec.structs.replace(at, data=Path(chosen.data)).running()
    doors = Doors(url=running.url, agent_token=running.agent, gateway_token=running.gateway)
    screen = Silent() if as_json else Lines(console())
    random = SystemRandom()
    try:
        accounts = playable(chosen.accounts)
        with Server(running) as server:
            _leave_to_its_client(server, accounts.chat)
            customer = meet(random, known=lambda identity: _known(server, identity))
            queue = _queue(server, accounts.chat, chosen)
            told = asyncio.run(play(doors, accounts, customer, screen, queue=queue, random=random, now_ms=_now_ms))
            kept = _kept(server, told, progress=not as_json)
    except Unplayable as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    except (Missing, LookupError) as exc:
        raise Failure(Exit.REFUSED, f"the demo is not complete: {exc}") from exc
    except Refusal as exc:
        raise Failure.of_refusal(exc) from exc
    if as_json:
        print_json({**msgspec.to_builtins(told), "customer": kept["customer"], "identities": customer.identities})
    else:
        _conclude(told, kept, customer.identities, chosen.data)


def _leave_to_its_client(server: Server, account: GatewayAccount) -> None:
    """Raises `Failure` where messages to real customers wait for the account's own client: the demo's would be given
    them, and each that it does not send uses up an attempt."""
    # Imported here, as above.
    from orchestrator.demo.cast import was_met

    rows = server.get("/v1/outbox", states="queued,attempting,waiting", limit=OUTBOX_MAX)
    real = [row for row in rows if row["account"] == account.name and not was_met(row["recipient"])]
    if real:
        raise Failure(
            Exit.REFUSED,
            f"the demo would take what waits for the client of account {account.name}: {len(real)} to others than its"
            f" own customers, the first to {real[0]['recipient']}; play it once they are sent, or on a data folder of"
            " its own (throughline serve --data ./demo)",
        )


def _kept(server: Server, told: "Told", *, progress: bool) -> dict[str, Any]:
    """The conversation as the archive has it, once it has what the agent was pushed: the same events in the same order.

    The archive follows the journal, some milliseconds behind.
    """
    pushed = [tuple(event) for event in told.events]
    deadline = time.monotonic() + ARCHIVE_S
    with errors().status("Waiting for the archive …") if progress else nullcontext():
        while True:
            kept = whole(server, told.conversation)
            written = [(event["seq"], event["type"]) for event in kept["events"]]
            if len(written) >= len(pushed) or time.monotonic() > deadline:
                break
            time.sleep(LOOK_AGAIN_S)
    if written[: len(pushed)] != pushed:
        raise Failure(Exit.REFUSED, f"the archive and the agent's stream differ: {written} and {pushed}")
    return kept


def _conclude(told: "Told", kept: dict[str, Any], identities: list[str], data: str) -> None:
    out = console()
    out.print()
    rule(out, "What it shows")
    for name, words in (
        ("conversation", f"{told.conversation}, one for all of it"),
        ("customer", f"{kept['customer']}, an id that no event carried"),
        ("who is", ", ".join(identities)),
        ("came by", ", ".join(told.channels)),
        ("answered by", ", ".join(told.sent)),
        ("events", f"1 to {len(told.events)}, pushed without a gap, and the archive has the same:"),
    ):
        out.print(Text.assemble((f"  {name:<13} ", "dim"), words))
    for seq, kind in told.events:
        out.print(Text.assemble((f"    {seq:>3} ", "bold"), kind))
    out.print(Text(f"\nLook again:     {to_copy(f'conversation show {told.conversation}', data)}", style="dim"))
    out.print(Text(f"What was lost:  {to_copy('report context-loss', data)}", style="dim"))


def _queue(server: Server, account: GatewayAccount, settings: Settings) -> str:
    """Where new conversations of the account wait, by the policy that is in force."""
    # Imported here, because few commands read a bundle.
    from orchestrator.bundles.making import make
    from orchestrator.policy.first import set_up_of

    files = server.get("/v1/policy")["files"]
    policy = make(files, set_up_of(settings)).policy
    if policy is None:
        raise Failure(Exit.USAGE, "the policy in force does not fit these settings: give the server's own (--settings)")
    return policy.queues.get(account.name, policy.queue_default)


def _known(server: Server, identity: str) -> bool:
    """Whether a customer has this identity already."""
    try:
        return bool(server.get("/v1/context", identity=identity).get("customer"))
    except Failure as failure:
        if failure.code == Code.NOT_FOUND:
            return False
        raise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
