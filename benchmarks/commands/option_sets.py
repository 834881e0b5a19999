"""Options that go together, a struct each (see `orchestrator.cli.spread`)."""

import typer
from msgspec import Struct

from benchmarks.commands.options import (
    FOLDER,
    Account,
    Agents,
    Batch,
    Cells,
    Customers,
    Folder,
    Gateways,
    Keep,
    Own,
    Queue,
    TextBytes,
    Token,
    Url,
    Window,
    server_at,
)
from benchmarks.load.loads import LoadPlan
from benchmarks.load.pushing import Shape
from benchmarks.load.server import ACCOUNT, QUEUE, LiveServer, Setup


class OwnServer(Struct, kw_only=True, frozen=True):
    """A server that the run starts and ends."""

    cells: Cells = 0
    folder: Folder = FOLDER
    keep: Keep = False

    def setup(self, bundle: str = "") -> Setup:
        """How it is set up, with this policy in force."""
        return Setup(folder=self.folder, cells=self.cells, keep=self.keep, bundle=bundle)


class OtherServer(Struct, kw_only=True, frozen=True):
    """A server that runs already, in the place of the run's own."""

    url: Url = ""
    token: Token = ""
    i_own_this_server: Own = False
    account: Account = ACCOUNT
    queue: Queue = QUEUE

    @property
    def live(self) -> LiveServer | None:
        """It, where one is named. Raises `typer.BadParameter`."""
        return server_at(self.url, self.token, owned=self.i_own_this_server)

    def excludes(self, **own: object) -> None:
        """Of options that set up the run's own server, by name. Raises `typer.BadParameter` where one is given, and
        this server named."""
        if self.url and (given := [f"--{option}" for option, value in own.items() if value]):
            raise typer.BadParameter(f"{', '.join(given)}: of the run's own server alone, and --url names another")


class Load(Struct, kw_only=True, frozen=True):
    """What is pushed, by how many, to how many who watch."""

    customers: Customers = 2000
    gateways: Gateways = 4
    agents: Agents = 20
    window: Window = 512
    batch: Batch = 16
    text_bytes: TextBytes = 160

    def plan(self, own: OwnServer, other: OtherServer | None = None, bundle: str = "") -> LoadPlan:
        """Which load on which server, with this policy in force. Raises `typer.BadParameter`."""
        other = other or OtherServer()
        other.excludes(bundle=bundle)
        return LoadPlan(
            setup=own.setup(bundle),
            customers=self.customers,
            shape=Shape(gateways=self.gateways, agents=self.agents, window=self.window, batch=self.batch),
            text_bytes=self.text_bytes,
            server=other.live,
            account=other.account,
            queue=other.queue,
        )
