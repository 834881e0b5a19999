"""Promise 7, of retention: what it drops belongs to nothing that goes on. The words of a contact stay where they were
said, so that their conversation is not over before the one is that the contact was put into."""

import msgspec

from protocol.entities import Status
from protocol.events import InteractionMoved
from protocol.journal import Entry
from tests.simulation.world import World

Contact = tuple[str, int]
"""Conversation, and number there."""

_entries = msgspec.msgpack.Decoder(list[Entry]).decode


async def check(world: World) -> None:
    """Looks at each conversation as it was when it was dropped."""
    rows = await world.disks.archive.rows("dropped")
    walk = _Walk(world)
    for through, dropped in sorted((through, id) for kind, id, _, _, through in rows if kind == "conversation"):
        walk.go_on(through)
        for home in walk.homes_of(dropped):
            if walk.is_live(home):
                world.broken("context", f"{dropped} was dropped at {through}, and has words of {home}, which is live")


class _Walk:
    """Where contacts were at a position."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._position = 0
        self._heads: dict[str, int] = {}
        self._origins: dict[Contact, Contact] = {}
        """Of those that were moved: where they began."""

    def go_on(self, through: int) -> None:
        """To what was so at this position."""
        for record in self._world.ledger.records[self._position : through]:
            for entry in _entries(record.body):
                self._heads[entry.stream] = entry.seq
                event = self._world.ledger.told(entry.stream)[entry.seq - 1]
                if isinstance(event, InteractionMoved):
                    was = (entry.stream, event.interaction)
                    self._origins[event.to, event.number] = self._origins.pop(was, was)
        self._position = through

    def homes_of(self, conversation: str) -> set[str]:
        """The conversations that contacts were put into which began in this one."""
        return {home for (home, _), (origin, _) in self._origins.items() if origin == conversation} - {conversation}

    def is_live(self, conversation: str) -> bool:
        """Whether it was not over."""
        views = self._world.folds.views(conversation)
        return views[self._heads[conversation] - 1].status is not Status.CLOSED
