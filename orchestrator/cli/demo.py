"""`throughline demo`: a customer's chat, mail and SMS against the running server, with a proof at the end."""

import asyncio
import time
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import msgspec
from rich.rule import Rule
from rich.text import Text

from orchestrator.cli.conversation import whole
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Data, Json, SettingsFile, Token, Url, running_of, settings_of
from orchestrator.cli.output import console, print_json
from orchestrator.cli.server import Server
from protocol.errors import Code, Refusal

if TYPE_CHECKING:
    from orchestrator.demo.play import Told

EXAMPLE = "Example: throughline demo --data ./data"


def demo(
    *, settings: SettingsFile = None, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False
) -> None:
    """Play one customer's chat, mail and SMS, show what an agent sees, and answer. Can be repeated."""
    # Imported here, because no other command speaks WebSocket or SMTP.
    from orchestrator.demo.cast import meet
    from orchestrator.demo.outside import Unplayable, playable
    from orchestrator.demo.play import Doors, Missing, play
    from orchestrator.demo.screen import Lines, Silent

    chosen = settings_of(settings, data)
    running = running_of(url, token, Path(chosen.data))
    doors = Doors(url=running.url, agent_token=running.agent, gateway_token=running.gateway)
    screen = Silent() if as_json else Lines(console())
    random = SystemRandom()
    try:
        accounts = playable(chosen.accounts)
        with Server(running) as server:
            customer = meet(random, known=lambda identity: _known(server, identity))
            told = asyncio.run(play(doors, accounts, customer, screen, random=random, now_ms=_now_ms))
            kept = whole(server, told.conversation)
    except Unplayable as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    except (Missing, LookupError) as exc:
        raise Failure(Exit.REFUSED, f"the demo is not complete: {exc}") from exc
    except Refusal as exc:
        raise Failure.of_refusal(exc) from exc
    _compare(told, kept)
    if as_json:
        print_json(msgspec.to_builtins(told))
    else:
        _conclude(told, customer.identities)


def _compare(told: "Told", kept: dict[str, Any]) -> None:
    """What the agent's client was pushed is what the server has written down, in the same order."""
    written = [(int(event["seq"]), str(event["type"])) for event in kept["events"]]
    pushed = [tuple(event) for event in told.events]
    if written[: len(pushed)] != pushed:
        raise Failure(Exit.REFUSED, f"the archive and the agent's stream differ: {written} and {pushed}")


def _conclude(told: "Told", identities: list[str]) -> None:
    out = console()
    out.print()
    out.print(Rule(Text("One conversation", style="bold"), align="left", style="dim"))
    out.print(Text.assemble(("  conversation  ", "dim"), (told.conversation, "bold green")))
    out.print(Text.assemble(("  came by       ", "dim"), ", ".join(told.channels)))
    out.print(Text.assemble(("  answered by   ", "dim"), ", ".join(told.sent)))
    out.print(Text.assemble(("  is            ", "dim"), ", ".join(identities), ("  (no event said so)", "dim")))
    out.print(Text.assemble(("  events        ", "dim"), f"1 to {len(told.events)}, no gap, as the archive has them:"))
    for seq, kind in told.events:
        out.print(Text(f"    {seq:>3}  {kind}"))
    out.print(Text(f"\nLook again:  throughline conversation show {told.conversation}", style="dim"))


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
