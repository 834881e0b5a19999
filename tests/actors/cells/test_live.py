"""Live: what a customer's place in a cell takes of its memory."""

import sys
from enum import Enum

from msgspec import Struct

from actors.cells import stepping
from actors.cells.live import Envelope, Live
from actors.decisions.once import OnceKeys
from actors.way_out.watching import Watchers
from protocol.ids import RANDOM_BYTES, customer_id
from protocol.inbound import MessageArrived
from tests.actors.player import POLICY, Player

TEXT = "My last bill is higher than the one before, and I do not see why. " * 4
BESIDE_EVENTS_MAX = 1_300
"""Bytes of a live conversation of four messages, beside its recent events. `python -m benchmarks memory` measures what
a process grows by: these, the events' 2,160, and 600 more by which allocators round up. 4,096 are promised."""


def lived(number: int) -> Live:
    """A customer who wrote four messages, as a cell has it when they are committed."""
    live = Live(customer_id(1_780_000_000_000 + number, bytes(RANDOM_BYTES)), "shard:0")
    player = Player()
    player.state.customer = live.customer
    live.journey = player.state
    for _ in range(4):
        given = player.input(
            MessageArrived(text=TEXT, subject=f"{number}"), channel="chat", identities=(f"x:{number}",)
        )
        stepping.step(live, Envelope(None, given), Watchers(), POLICY, player.now_ms)
        live.open = live.listed = None
    return live


def objects(root: object, found: dict[int, object]) -> dict[int, object]:
    """All that hangs on it, by identity."""
    if root is None or isinstance(root, Enum | type) or id(root) in found:
        return found
    found[id(root)] = root
    match root:
        case Struct():
            inner = [getattr(root, name) for name in root.__struct_fields__]
        case dict():
            inner = [*root.keys(), *root.values()]
        case list() | tuple() | set():
            inner = list(root)
        case OnceKeys():
            inner = [root.packed]
        case _:
            inner = []
    for each in inner:
        objects(each, found)
    return found


def test_a_live_conversation_is_small() -> None:
    """What another customer's has as well (words of the policy, small numbers) is nobody's in particular."""
    one, other = lived(1), lived(2)
    shared = objects(other, {})
    own = [each for at, each in objects(one, {}).items() if at not in shared]
    assert one.journey is not None
    recent = one.journey.kept[0].recent
    assert sum(sys.getsizeof(each) for each in own if each is not recent) <= BESIDE_EVENTS_MAX
