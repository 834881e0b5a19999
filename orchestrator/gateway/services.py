"""What HTTP handlers work with: one value, put into the application's state when it is made."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from litestar import Request
from litestar.datastructures import State
from msgspec import Struct

from adapters.attachments import AttachmentStore
from orchestrator.feed.feed import Readable
from orchestrator.gateway.health.figures import ReadFigures
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.health.troubles import ReadStates
from orchestrator.gateway.peers import Archive, Cells, Identities, Intake
from orchestrator.policy.desk import PolicyDesk
from orchestrator.report.desk import ReportDesk
from orchestrator.settings import Account, EmailAccount, GatewayAccount, TwilioAccount
from orchestrator.tokens import Token

HttpRequest = Request[Any, Any, State]


class Stores(Struct, kw_only=True, frozen=True):
    """What a gateway reads, and the folders in which it keeps what waits."""

    archive: Archive
    history: Archive
    """The same over connections of its own, for reads that take long."""
    counting: Archive
    """Over its own, too, for reports: nobody's timeline waits until one is counted."""
    identities: Identities
    feed: Readable
    """The journal, over a connection of its own: whoever scans it is in the way of no event that has to know whose it
    is."""
    attachments: AttachmentStore
    erasures: Path
    """The folder of erasures that wait for a stop."""
    webhooks: Path
    """The folder of what is kept of webhooks' endpoints, and asked of them."""


class Services(Stores, kw_only=True, frozen=True):
    """The parts of the server behind HTTP."""

    accounts: Mapping[str, Account]
    cells: Cells
    intake: Intake
    metrics: Metrics
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    archive_lag_max: int
    connections: Callable[[], dict[str, int]]
    """Open WebSockets by kind."""
    queue_bytes: Callable[[], float]
    """Frames that wait for clients that read slowly or not at all."""
    watched: Callable[[], int]
    """Conversations with a watcher."""
    draining: Callable[[], bool]
    states: ReadStates
    """How each process of the server is."""
    figures: ReadFigures
    """What each of them counts."""
    policy: PolicyDesk | None
    """None where nobody applies one: in a test of something else."""
    report: ReportDesk | None = None
    """Likewise."""


def services_of(request: HttpRequest) -> Services:
    """The services of the application that got this request."""
    return cast(Services, request.app.state["services"])


def token_of(request: HttpRequest) -> Token | None:
    """Whose request it is; None where the entrance is open."""
    return cast("Token | None", request.scope["state"].get("token"))


def speaker_of(request: HttpRequest) -> Token:
    """Whose request it is, at an entrance that needs a token."""
    token = token_of(request)
    assert token, "the access layer lets nobody in without a token here"
    return token


def channel_of(account: Account) -> str:
    """The channel that an account's events are of where they do not say."""
    match account:
        case EmailAccount():
            return "email"
        case TwilioAccount():
            return "sms"
        case GatewayAccount(channel=channel):
            return channel
