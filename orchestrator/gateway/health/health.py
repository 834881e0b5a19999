"""Health: whether the process is up, whether all parts work, what they count."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, assert_never

from litestar import Response, get
from msgspec import UNSET

from orchestrator.cluster.states import Condition, ProcessState, figures_of, steady_ms
from orchestrator.cluster.table import USHER, cell_index
from orchestrator.erasure.pending import waiting
from orchestrator.gateway.health.figures import ARCHIVE
from orchestrator.gateway.health.metrics import CONTENT_TYPE
from orchestrator.gateway.health.troubles import JOURNAL, troubles_of_journal, troubles_of_processes
from orchestrator.gateway.health.webhook_troubles import endpoints_of, troubles_of_webhooks
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.http.bodies import ReadyAnswer
from orchestrator.gateway.operations.operations import STATES as OUTBOX_STATES
from orchestrator.gateway.peers import Cells
from orchestrator.gateway.services import HttpRequest, Services, services_of, token_of
from orchestrator.settings import Account, EmailAccount, GatewayAccount, TwilioAccount
from protocol.errors import ThroughlineError

SHOWN_REASONS = ("metrics", "operator")
READ_WITHIN_S = 2.0
"""Of a store that is asked for its position: health must answer also where a disk does not."""


@get("/healthz", tags=["health"])
async def get_health() -> dict[str, str]:
    """The process is up and its loop turns. Says nothing about the others."""
    return {"status": "up"}


@get("/readyz", tags=["health"])
async def get_ready(request: HttpRequest) -> Response[ReadyAnswer]:
    """Whether inputs can be taken and reads answered: 200 or 503. A `metrics` or `operator` token sees why not."""
    reasons = await reasons_not_ready(services_of(request))
    token = token_of(request)
    sees = token is not None and token.covers(*SHOWN_REASONS)
    answer = ReadyAnswer(
        ready=not reasons,
        reasons=reasons if sees else [],
        policy_troubles=(troubles_of_policy(services_of(request)) if sees else []) or UNSET,
        webhook_troubles=(troubles_of_webhooks(endpoints_of(services_of(request))) if sees else []) or UNSET,
    )
    return Response(answer, status_code=503 if reasons else 200)


@get("/metrics", needs=needs("metrics"), tags=["health"])
async def get_metrics(request: HttpRequest) -> Response[bytes]:
    """Prometheus' text format. What a store that cannot be read would say keeps its last value."""
    here = services_of(request)
    for gauge, part in (
        (here.metrics.archive_position, here.archive),
        (here.metrics.journal_position, here.identities),
    ):
        if (position := await _position_of(part)) is not None:
            gauge.set(position)
    if (unsent := await _unsent_of(here)) is not None:
        for state in OUTBOX_STATES:
            here.metrics.outbox.labels(state).set(unsent.get(state, 0))
    here.metrics.ready.set(not await reasons_not_ready(here))
    return Response(here.metrics.text(), media_type=CONTENT_TYPE)


@get("/v1/status", needs=needs("read", "metrics"), tags=["health"])
async def get_status(request: HttpRequest) -> dict[str, Any]:
    """The server at a glance, for `throughline status`."""
    return await status_of(services_of(request))


async def status_of(here: Services) -> dict[str, Any]:
    """Parts, positions, figures, channel accounts. What cannot be read is null, and so are seats of a pooled server."""
    reasons = await reasons_not_ready(here)
    return {
        "ready": not reasons,
        "reasons": reasons,
        "processes": figures_of(here.states(), steady_ms()),
        "generation": here.cells.generation,
        "journal_position": await _position_of(here.identities),
        "archive_position": await _position_of(here.archive),
        "last_commit_ms": here.figures().get(JOURNAL, {}).get("last_commit_ms"),
        "cells_open": sum(map(here.cells.is_open, here.cells.indexes)),
        "cells": len(here.cells.indexes),
        "seats": here.figures().get(USHER),
        "pending": here.cells.unanswered,
        "connections": here.connections(),
        "queue_bytes": int(here.queue_bytes()),
        "queue_overflows": here.metrics.overflows,
        "refusals": here.metrics.refused_by_code(),
        "watched": here.watched(),
        "webhooks": endpoints_of(here),
        "webhook_troubles": troubles_of_webhooks(endpoints_of(here)),
        "counts": await _counts_of(here),
        "retention": here.figures().get(ARCHIVE, {}).get("retention", {}),
        "retained": await _retained_of(here),
        "erasures_waiting": len(await asyncio.to_thread(waiting, here.erasures)),
        "policy": None if here.policy is None else here.policy.policy.version,
        "policy_troubles": troubles_of_policy(here),
        "policy_remarks": [] if here.policy is None else [str(each) for each in here.policy.remarks],
        "accounts": [
            {
                "account": name,
                "kind": type(account).__name__.removesuffix("Account").lower(),
                "address": _address(account),
            }
            for name, account in here.accounts.items()
        ],
    }


class _Placed(Protocol):
    """A store's reader."""

    async def position(self) -> int:
        """The newest position it has."""
        ...


async def _position_of(part: _Placed) -> int | None:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await part.position()
    except (ThroughlineError, OSError, TimeoutError):
        return None


async def _unsent_of(here: Services) -> Mapping[str, int] | None:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await here.archive.unsent()
    except (ThroughlineError, OSError, TimeoutError):
        return None


async def _counts_of(here: Services) -> dict[str, int] | None:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return dict(await here.archive.counts())
    except (ThroughlineError, OSError, TimeoutError):
        return None


async def _retained_of(here: Services) -> dict[str, dict[str, Any]] | None:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            rows = [dict(row) for row in await here.archive.retained()]
            return {str(row.pop("kind")): row for row in rows}
    except (ThroughlineError, OSError, TimeoutError):
        return None


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


def troubles_of_policy(here: Services) -> list[str]:
    """What is wrong with the watched folder. The server is ready all the same: the version before is in force."""
    return [] if here.policy is None else [f"not in force: {wrong}" for wrong in here.policy.troubles]


async def reasons_not_ready(here: Services) -> list[str]:
    """What does not work now; empty where all is well."""
    states = here.states()
    reasons = troubles_of_processes(_needed(states, here.cells), steady_ms()) + troubles_of_journal(here.figures())
    reasons += [
        f"{peer} cannot be reached"
        for peer in here.cells.unreachable()
        # One that is not up was named already.
        if _is_up(states.get(peer.replace(" ", "-")))
    ]
    if here.draining():
        reasons.append("the server is stopping")
    if not here.cells.generation:
        reasons.append("no cell has named the journal's generation yet")
    journal, archive = await _position_of(here.identities), await _position_of(here.archive)
    reasons += [
        f"the {name} cannot be read"
        for name, position in (("journal", journal), ("archive", archive))
        if position is None
    ]
    lag = journal - archive if journal is not None and archive is not None else 0
    if lag > here.archive_lag_max:
        reasons.append(f"the archive is {lag} commits behind; limits.archive_lag_max is {here.archive_lag_max}")
    return reasons


def _needed(states: Mapping[str, ProcessState], cells: Cells) -> Mapping[str, ProcessState]:
    """Those that must be up: where any cell serves any customer, one that starts or restarts is not missed. One that
    hangs is, by the customer who sits there."""
    if not cells.interchangeable:
        return states
    return {
        name: state
        for name, state in states.items()
        if cell_index(name) is None or state.condition is not Condition.STARTING
    }


def _is_up(state: ProcessState | None) -> bool:
    return state is None or state.condition is Condition.UP


ROUTES: list[Any] = [get_health, get_ready, get_metrics, get_status]
"""What `http.py` serves from here."""
