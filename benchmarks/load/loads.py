"""Loads: what the scenarios with a load of events have in common, the load itself and the server it goes to."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from msgspec import Struct
from msgspec.structs import asdict

from benchmarks.figures import disk
from benchmarks.figures.phases import Phases
from benchmarks.inputs.traffic import Traffic
from benchmarks.load.pushing import Shape
from benchmarks.load.server import ACCOUNT, QUEUE, LiveServer, Setup, serving
from benchmarks.load.server_load import ServerLoad

STARTING_S = 10.0
"""About what a server's start takes: for the progress bar."""


class LoadPlan(Struct, frozen=True, kw_only=True):
    """Which load. With a `server`, that one is loaded; otherwise one of the run's own, below `setup.folder`."""

    setup: Setup
    customers: int = 2000
    shape: Shape = Shape()
    text_bytes: int = 160
    server: LiveServer | None = None
    account: str = ACCOUNT
    queue: str = QUEUE

    def told(self) -> dict[str, int]:
        """What a result says of it among its setting."""
        return {"customers": self.customers, **asdict(self.shape), "text_bytes": self.text_bytes}


def traffic_of(plan: LoadPlan, run_name: str = "") -> Traffic:
    """Events of this run's own customers, from now on."""
    return Traffic(
        run_name or secrets.token_hex(4),
        customers=plan.customers,
        account=plan.account,
        text_bytes=plan.text_bytes,
        began_ms=time.time_ns() // 1_000_000,
    )


def load_of(plan: LoadPlan, traffic: Traffic) -> ServerLoad:
    """The load itself, of these events."""
    return ServerLoad(traffic, plan.shape, queue=plan.queue)


def probed(plan: LoadPlan, phases: Phases) -> disk.Disk:
    """What a sync costs where the run's own server writes; nobody knows it of another's. Raises `disk.NoDisk`."""
    phases.begin("syncing pages", 1.0)
    return disk.probed(plan.setup.folder) if plan.server is None else disk.UNKNOWN


@contextmanager
def server_of(plan: LoadPlan, phases: Phases) -> Iterator[LiveServer]:
    """The server that the load goes to. Raises `server.NotServing`."""
    phases.begin("starting a server", STARTING_S)
    with serving(plan.setup) if plan.server is None else nullcontext(plan.server) as server:
        yield server
