"""Options that go together: to a command one parameter of a struct, to typer each of its fields an option."""

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from benchmarks.options import (
    FOLDER,
    Account,
    Agents,
    Batch,
    Cells,
    Check,
    Customers,
    Folder,
    Gateways,
    Json,
    Keep,
    Own,
    Plot,
    Queue,
    TextBytes,
    Token,
    Url,
    Window,
    server_at,
)
from benchmarks.pushing import Shape
from benchmarks.server import ACCOUNT, QUEUE, LiveServer, Setup


class Load(Struct, kw_only=True, frozen=True):
    """What is pushed, by how many, to how many who watch."""

    customers: Customers = 2000
    gateways: Gateways = 4
    agents: Agents = 20
    window: Window = 512
    batch: Batch = 16
    text_bytes: TextBytes = 160

    @property
    def shape(self) -> Shape:
        """Its connections."""
        return Shape(gateways=self.gateways, agents=self.agents, window=self.window, batch=self.batch)


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


class Shown(Struct, kw_only=True, frozen=True):
    """Where the result goes."""

    as_json: Json = False
    plot: Plot = None


class Checked(Shown, kw_only=True, frozen=True):
    """The same of figures for which the project has bars."""

    check: Check = False


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: an option for each field of the structs among its parameters."""
    hints = get_type_hints(command, include_extras=True)
    sets = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Struct)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        parameters += _options(sets[name]) if name in sets else [parameter.replace(annotation=hints[name])]

    @wraps(command)
    def with_sets(**given: Any) -> None:
        made = {name: of(**{key: given.pop(key) for key in of.__struct_fields__}) for name, of in sets.items()}
        command(**made, **given)

    with_sets.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    with_sets.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_sets


def _options(of: type[Struct]) -> Iterator[Parameter]:
    types = get_type_hints(of, include_extras=True)
    for field in msgspec.structs.fields(of):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name])
