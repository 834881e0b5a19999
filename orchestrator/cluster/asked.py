"""What the node and its processes say to each other, beside Ray: one JSON object a line, over `node.sock`.

    process ── Begins ─▶ node          as its life begins, on a connection that lives as long as the process
    process ── Serves ─▶ node          once it serves
    node ── Count ─▶ process ── Counted ─▶ node
    node ── Drain ─▶ process           its end is the answer
    usher ── Wants ─▶ node             each time which cells there should be has changed

Not calls of the actor: Ray's asyncio actors keep a second thread for them, which wakes a hundred times a second for as
long as they live and takes the interpreter from the first (Ray 2.60: 1.07% of a core for each idle process, and 0.23%
where the one method holds the main thread).
"""

from typing import Any

import msgspec
from msgspec import Struct

from actors.seats.seating import Wanted

SOCKET = "node.sock"
"""In the run folder, which nobody else may look into."""
LINE_BYTES_MAX = 1024 * 1024
"""Of one line; what a process counts is a few KiB."""


class Begins(Struct, frozen=True, tag="begins", tag_field="said"):
    """A process is there, and its part starts: an end from now on is the end of this life."""

    process: str


class Serves(Struct, frozen=True, tag="serves", tag_field="said"):
    """A process serves. `facts`: what others may know, always with its `pid`."""

    process: str
    facts: dict[str, str | int]


class Counted(Struct, frozen=True, tag="counted", tag_field="said"):
    """The process's figures."""

    figures: dict[str, Any]


class Wants(Struct, frozen=True, tag="wants", tag_field="said"):
    """The usher's newest word of which cells there should be."""

    wanted: Wanted


class Count(Struct, frozen=True, tag="count", tag_field="asks"):
    """Asks for `Counted`."""


class Drain(Struct, frozen=True, tag="drain", tag_field="asks"):
    """Asks the process to finish what it holds and to end."""


FromHost = Begins | Serves | Counted | Wants
ToHost = Count | Drain

from_host = msgspec.json.Decoder(FromHost).decode
to_host = msgspec.json.Decoder(ToHost).decode


def line_of(message: FromHost | ToHost) -> bytes:
    """As it goes over the socket."""
    return msgspec.json.encode(message) + b"\n"
