"""One version: each commit unit is decided under one version of the policy, which was applied before, and names it.

In a conversation no unit names an older version than one before it did, unless that is the one it was begun under:
nobody goes back, and what is pinned stays.
"""

import msgspec

from protocol.events import AnyEvent, CustomerErased, PolicyApplied
from tests.simulation.world import World

_entries = msgspec.msgpack.Decoder(list[tuple[str, int, AnyEvent]]).decode


def check(world: World) -> None:
    """Walks the journal."""
    newest = 1
    last: dict[str, int] = {}
    for record in world.ledger.records:
        entries = _entries(record.body)
        named = {event.policy for _, _, event in entries if event.policy}
        if any(isinstance(event, CustomerErased) for _, _, event in entries):
            continue  # Of an operator on a stopped server, by no rule.
        if len(named) != 1:
            world.broken("one_version", f"the unit at {record.position} names versions {sorted(named)}")
            continue
        [version] = named
        if version > newest:
            world.broken("one_version", f"the unit at {record.position} names {version}; {newest} was applied by then")
        for stream, _, event in entries:
            # What concerns the person is decided beside a conversation, under the version of that.
            begun = world.ledger.streams[stream][0].policy if "-" in stream else version
            if version < last.get(stream, 0) and version != begun:
                world.broken("one_version", f"{stream} goes back to {version} from {last[stream]}")
            last[stream] = version
            if isinstance(event, PolicyApplied):
                if event.version != newest + 1:
                    world.broken("one_version", f"version {event.version} follows {newest}")
                newest = event.version
