"""Notices: what the journal tells every cell unasked: the policy's newest versions, and merges.

The cell that takes a merge in is another one than the cell that gave, and has to hear of it even if whoever asked for
the merge is gone. A cell hears everything as its line opens, and news as they are committed, ahead of the answer to the
cell that committed them. Only units of the customer `policy` are decoded for this.
"""

from collections.abc import Sequence

import msgspec

from actors.lines import Line
from protocol.events import AnyEvent, PolicyApplied
from protocol.ids import POLICY
from protocol.journal import ADOPT, GIVE, POLICIES_KEPT, RELEASE, Unit, Unsettled
from protocol.links import FamiliesAre, PoliciesAre

_events = msgspec.msgpack.Decoder(list[tuple[str, int, AnyEvent]]).decode


class Notices:
    """The lines to the cells that can be reached, and what each cell has to know from its start."""

    def __init__(self) -> None:
        self._cells: dict[str, Line] = {}
        """By name."""
        self._policies: list[tuple[int, bytes]] = []
        """The newest versions of the policy, `POLICIES_KEPT` of them at most, in order."""
        self._unsettled: list[Unsettled] = []
        """What customers have to take in of merges: those under way."""

    def recovered(self, policies: Sequence[bytes], unsettled: list[Unsettled]) -> None:
        """What the store has of both: units of the customer `policy`, and merges under way."""
        self._policies = versions_of(policies)
        self._unsettled = unsettled

    @property
    def version(self) -> int:
        """The policy's newest; 1 is the settings' own."""
        return self._policies[-1][0] if self._policies else 1

    def unsettled_of(self, customer: str) -> list[Unsettled]:
        """What the customer has to take in of merges."""
        return [each for each in self._unsettled if each.customer == customer] if self._unsettled else []

    # Lines to cells

    def opened(self, line: Line) -> None:
        """The policy is told before all else."""
        self._cells[line.peer] = line
        # After a reconnect, too: what was applied meanwhile was not sent.
        line.send(PoliciesAre(self._policies))
        if self._unsettled:
            line.send(FamiliesAre(self._unsettled))

    def closed(self, line: Line) -> None:
        """The cell is told everything again when it comes back."""
        if self._cells.get(line.peer) is line:
            del self._cells[line.peer]

    # What is news

    def committed(self, position: int, unit: Unit) -> None:
        """Tells every cell of the policy's versions and of the steps of merges that are in the unit."""
        if unit.customer == POLICY:
            self._applied(versions_of([unit.body]))
        if unit.family:
            self._tell_families(position, unit)

    def _applied(self, versions: list[tuple[int, bytes]]) -> None:
        """The policy has these versions now."""
        self._policies = [*self._policies, *versions][-POLICIES_KEPT:]
        for line in self._cells.values():
            line.send(PoliciesAre(versions))

    def _tell_families(self, position: int, unit: Unit) -> None:
        """Tells every cell of a merge's step that another customer has to take in. Its cell also gets it with the tail
        (`unsettled_of`), whenever it loads that customer."""
        for step in unit.family:
            if step.step in (GIVE, RELEASE):
                who, other = (step.other, step.customer) if step.step == GIVE else (step.customer, step.other)
                told = Unsettled(who, other, step.turn, position)
                self._unsettled = [*self._unsettled, told]
                for line in self._cells.values():
                    line.send(FamiliesAre([told]))
            else:
                who, other = (step.other, step.customer) if step.step == ADOPT else (step.customer, step.other)
                self._unsettled = [each for each in self._unsettled if (each.customer, each.other) != (who, other)]


def versions_of(bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The policy versions that these units of the customer `policy` brought."""
    events = [event for body in bodies for _, _, event in _events(body)]
    return [(event.version, event.body) for event in events if isinstance(event, PolicyApplied)][-POLICIES_KEPT:]
