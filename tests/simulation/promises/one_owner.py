"""Promise 8: one owner at a time. Each change of owner names the owner before it; nobody takes from another unforced.

A handoff changes hands once, under its own lease, with its own hash, in its time, and ends before anybody else owns it.
Its package names each context item that was set before it, in its newest version then, and says what the policy
requires and nobody had given.
"""

from protocol.commands import AcceptHandoff, Take
from protocol.entities import ContextValue
from protocol.events import (
    AnyEvent,
    ContextSet,
    ContextWithdrawn,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    OwnerChanged,
)
from protocol.handoffs import package_sha256
from tests.simulation.agents import Asked
from tests.simulation.handing import RULES
from tests.simulation.world import World


def check(world: World) -> None:
    """Walks the changes of each conversation."""
    asked = {asked.key: asked for asked in world.asked.values() if isinstance(asked.command, Take | AcceptHandoff)}
    for stream in world.ledger.streams:
        walk = _Walk(world, stream, asked)
        for event in world.ledger.told(stream):
            walk.take(event)
        if walk.accepted is not None:
            walk.broken(f"{walk.accepted.actor} accepted, and never became the owner")


class _Walk:
    """One conversation, event by event."""

    def __init__(self, world: World, stream: str, asked: dict[int, Asked]) -> None:
        self._world = world
        self._stream = stream
        self._asked = asked
        self._owner = ""
        self._leases = 0
        self._open: HandoffOffered | None = None
        self._seq = 0
        self._versions: dict[str, int] = {}
        """Of what was set, by key."""
        self.accepted: HandoffAccepted | None = None
        """An acceptance whose change of owner is next."""

    def broken(self, text: str) -> None:
        """The promise did not hold here."""
        self._world.broken("one_owner", f"{self._stream}: {text}")

    def take(self, event: AnyEvent) -> None:
        """The next event."""
        self._seq += 1
        match event:
            case ContextSet():
                self._versions[event.key] = (event.stands or event).version
            case ContextWithdrawn(stands=ContextValue() as stands):
                self._versions[event.key] = stands.version
            case ContextWithdrawn():
                self._versions.pop(event.key, None)
            case OwnerChanged():
                self._change(event)
            case HandoffOffered():
                if self._open is not None:
                    self.broken(f"offer {event.lease} while {self._open.lease} is open")
                if event.lease != self._leases + 1:
                    self.broken(f"lease {event.lease} follows {self._leases}")
                if event.sha256 != package_sha256(event.package):
                    self.broken(f"offer {event.lease} has another package's hash")
                self._check_package(event)
                self._leases, self._open = event.lease, event
            case HandoffAccepted():
                self._accept(event)
            case HandoffDeclined() | HandoffWithdrawn():
                self._end(event.lease)
            case HandoffExpired():
                if self._open is not None and event.at_ms < self._open.expires_at_ms:
                    self.broken(f"offer {event.lease} expired {self._open.expires_at_ms - event.at_ms} ms early")
                self._end(event.lease)

    def _check_package(self, event: HandoffOffered) -> None:
        package, required = event.package, RULES.kinds[event.kind].required
        if {item.key: item.version for item in package.items} != self._versions:
            self.broken(f"offer {event.lease} has {package.items}; known is {self._versions}")
        if package.through != self._seq - 1:
            self.broken(f"offer {event.lease} at {self._seq} is of all up to {package.through}")
        if package.missing != [name for name in required if name not in self._versions]:
            self.broken(f"offer {event.lease} says that {package.missing} is missing")

    def _change(self, event: OwnerChanged) -> None:
        if event.previous != self._owner:
            self.broken(f"went from {event.previous!r} to {event.owner!r}; it was {self._owner!r}'s")
        if self._open is not None:
            self.broken(f"went to {event.owner!r} while offer {self._open.lease} was open")
        if self.accepted is not None and f"agent:{event.owner}" != self.accepted.actor:
            self.broken(f"{self.accepted.actor} accepted it, and {event.owner!r} became the owner")
        command = self._command(event)
        if isinstance(command, Take) and not command.force and self._owner:
            self.broken(f"was taken from {self._owner} by {event.owner}, who did not force it")
        self._owner, self.accepted = event.owner, None

    def _accept(self, event: HandoffAccepted) -> None:
        offered, command = self._open, self._command(event)
        if offered is None:
            self.broken(f"{event.actor} accepted offer {event.lease}, which is not open")
            return
        if isinstance(command, AcceptHandoff) and command.lease != offered.lease:
            self.broken(f"{event.actor} meant offer {command.lease}, and got {offered.lease}")
        if isinstance(command, AcceptHandoff) and command.sha256 != offered.sha256:
            self.broken(f"{event.actor} got offer {offered.lease} without its hash")
        if event.at_ms >= offered.expires_at_ms:
            self.broken(f"{event.actor} got offer {offered.lease} after its lease")
        if offered.to.startswith("agent:") and event.actor != offered.to:
            self.broken(f"{event.actor} got what was offered to {offered.to}")
        self._end(event.lease)
        self.accepted = event

    def _end(self, lease: int) -> None:
        if self._open is None or self._open.lease != lease:
            self.broken(f"offer {lease} ends; open is {self._open.lease if self._open else 'none'}")
        self._open = None

    def _command(self, event: AnyEvent) -> object:
        asked = self._asked.get(event.once.key) if event.once else None
        return asked.command if asked else None
