"""Dispatch: hands a cell's committed attempts to whoever serves their account, and again when that one was replaced.

What was written to a line may have been done even if the line's other end is new; it goes out again marked `again`, so
that one who does not know it says `uncertain` in place of sending twice. What never left a line goes unmarked.
"""

from collections.abc import Collection, Mapping

import msgspec

from actors.lines import Line
from protocol.ids import customer_of
from protocol.links import DeliverNow


class Dispatch:
    """The attempts under way in a cell. Bounded by the conversations: one a channel of each."""

    def __init__(self, served_by: Mapping[str, str]) -> None:
        self._served_by = served_by
        """Account → the kind of peer that serves it: `channels` or `gateway`."""
        self._lines: dict[str, Line] = {}
        self._under_way: dict[str, DeliverNow] = {}
        self._written: set[str] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A peer's line is open; one that is new is given what its former life had."""
        kind = line.peer.partition(":")[0]
        self._lines[kind] = line
        for effect in list(self._under_way.values()):
            if self._served_by.get(effect.account) == kind:
                if effect.delivery not in self._written:
                    self._send(line, effect)
                elif fresh:
                    self._send(line, msgspec.structs.replace(effect, again=True))

    def start(self, effect: DeliverNow) -> None:
        """An attempt is committed, or was found under way in a journey that was loaded."""
        self._under_way[effect.delivery] = effect
        self._written.discard(effect.delivery)
        line = self._lines.get(self._served_by.get(effect.account, ""))
        if line is not None and line.open:
            self._send(line, effect)

    def settle(self, delivery: str) -> None:
        """The attempt's outcome is committed."""
        self._under_way.pop(delivery, None)
        self._written.discard(delivery)

    def of_account(self, account: str) -> int:
        """How many of the account are under way. Looks through all there are."""
        return sum(1 for effect in self._under_way.values() if effect.account == account)

    def unwritten(self, customer: str) -> bool:
        """Whether an attempt of the customer has not left yet, since nobody is there who serves it."""
        return any(e.customer == customer and e.delivery not in self._written for e in self._under_way.values())

    def forget(self, customer: str) -> None:
        """The customer is another cell's from now on, and so are its attempts."""
        for effect in [effect for effect in self._under_way.values() if effect.customer == customer]:
            self.settle(effect.delivery)

    def forget_of(self, members: Collection[str]) -> None:
        """These customers' conversations are not this cell's any more, whosever they were."""
        for effect in [each for each in self._under_way.values() if customer_of(each.conversation) in members]:
            self.settle(effect.delivery)

    def _send(self, line: Line, effect: DeliverNow) -> None:
        self._written.add(effect.delivery)
        line.send(effect)
