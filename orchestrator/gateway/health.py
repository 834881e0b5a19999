"""Health: whether the process is up, whether all parts work, what they count."""

from collections.abc import Mapping
from typing import Any, assert_never

from litestar import Response, get

from orchestrator.gateway.access import needs
from orchestrator.gateway.answers import ReadyAnswer
from orchestrator.gateway.metrics import CONTENT_TYPE
from orchestrator.gateway.services import HttpRequest, Services, services_of, token_of
from orchestrator.settings import Account, EmailAccount, GatewayAccount, TwilioAccount

SHOWN_REASONS = ("metrics", "operator")


@get("/healthz", tags=["health"])
async def get_health() -> dict[str, str]:
    """The process is up and its loop turns. Says nothing about the others."""
    return {"status": "up"}


@get("/readyz", tags=["health"])
async def get_ready(request: HttpRequest) -> Response[ReadyAnswer]:
    """Whether inputs can be taken and reads answered: 200 or 503. A `metrics` or `operator` token sees why not."""
    reasons = await reasons_not_ready(services_of(request))
    token = token_of(request)
    shown = reasons if token and token.covers(*SHOWN_REASONS) else []
    return Response(ReadyAnswer(ready=not reasons, reasons=shown), status_code=503 if reasons else 200)


@get("/metrics", guards=[needs("metrics")], tags=["health"])
async def get_metrics(request: HttpRequest) -> Response[bytes]:
    """Prometheus' text format."""
    here = services_of(request)
    here.metrics.archive_position.set(await here.archive.position())
    here.metrics.journal_position.set(await here.identities.position())
    return Response(here.metrics.text(), media_type=CONTENT_TYPE)


@get("/v1/status", guards=[needs("read", "metrics")], tags=["health"])
async def get_status(request: HttpRequest) -> dict[str, Any]:
    """The server at a glance, for `throughline status`."""
    return await status_of(services_of(request))


async def status_of(here: Services) -> dict[str, Any]:
    """Parts, positions, figures, channel accounts."""
    reasons = await reasons_not_ready(here)
    return {
        "ready": not reasons,
        "reasons": reasons,
        "generation": here.cells.generation,
        "journal_position": await here.identities.position(),
        "archive_position": await here.archive.position(),
        "cells_open": sum(here.cells.is_open(cell) for cell in range(len(here.cells))),
        "cells": len(here.cells),
        "pending": here.cells.unanswered,
        "connections": here.connections(),
        "watched": here.watched(),
        "counts": dict(await here.archive.counts()),
        "accounts": [
            {
                "account": name,
                "kind": type(account).__name__.removesuffix("Account").lower(),
                "address": _address(account),
            }
            for name, account in here.accounts.items()
        ],
    }


def _address(account: Account) -> str:
    """What customers write to; a gateway client's line has its own, which nobody here knows."""
    match account:
        case EmailAccount():
            return account.address
        case TwilioAccount():
            return account.number
        case GatewayAccount():
            return ""
        case _:
            assert_never(account)


async def reasons_not_ready(here: Services) -> list[str]:
    """What does not work now; empty where all is well."""
    reasons = [f"cell {cell} cannot be reached" for cell in range(len(here.cells)) if not here.cells.is_open(cell)]
    if here.draining():
        reasons.append("the server is stopping")
    if not here.cells.generation:
        reasons.append("no cell has named the journal's generation yet")
    positions: Mapping[str, Any] = {"journal": here.identities, "archive": here.archive}
    at: dict[str, int] = {}
    for name, part in positions.items():
        try:
            at[name] = await part.position()
        except Exception as exc:  # noqa: BLE001 - whatever keeps a part from answering is what this tells
            reasons.append(f"the {name} cannot be read ({type(exc).__name__})")
    lag = at.get("journal", 0) - at.get("archive", at.get("journal", 0))
    if lag > here.archive_lag_max:
        reasons.append(f"the archive is {lag} commits behind; limits.archive_lag_max is {here.archive_lag_max}")
    return reasons


ROUTES: list[Any] = [get_health, get_ready, get_metrics, get_status]
"""What `http.py` serves from here."""
