"""Dispatch: hands a cell's committed attempts to whoever serves their account, and again when that one was replaced.

What was written to a line may have been done even if the line's other end is new; it goes out again marked `again`, so
that one who does not know it says `uncertain` in place of sending twice. What never left a line goes unmarked.

    of several who serve the account      those where somebody takes it, as far as was heard; else any of them
    of these                              the one with the fewest attempts under way
    none of these can be reached          it waits for one of them, or for somebody to take it elsewhere
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

import msgspec

from actors.lines import Line
from protocol.ids import customer_of
from protocol.links import DeliverNow


class Dispatch:
    """The attempts under way in a cell. Bounded by the conversations: one a channel of each.

    An attempt that a former life of the cell handed out goes to whom it would go to now; where another one had it,
    that one's answer is heard when it comes.
    """

    def __init__(self, served_by: Mapping[str, str], takes: Callable[[str, str], bool]) -> None:
        self._served_by = served_by
        """Account → the kind of peer that serves it: `channels` or `gateway`."""
        self._takes = takes
        """Whether at this peer somebody takes this account's deliveries, as far as was heard."""
        self._lines: dict[str, dict[str, Line]] = {}
        """By kind and peer."""
        self._under_way: dict[str, DeliverNow] = {}
        self._written: dict[str, str] = {}
        """Delivery → the peer to whose line it was written."""
        self._busy: Counter[str] = Counter()
        """By peer: how many of these."""

    def __len__(self) -> int:
        return len(self._under_way)

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A peer's line is open; one that is new is given what its former life had."""
        kind = line.peer.partition(":")[0]
        self._lines.setdefault(kind, {})[line.peer] = line
        for effect in list(self._under_way.values()):
            if self._served_by.get(effect.account) != kind:
                continue
            if effect.delivery not in self._written:
                self._give(effect)
            elif fresh and self._written[effect.delivery] == line.peer:
                line.send(msgspec.structs.replace(effect, again=True))

    def takers_changed(self) -> None:
        """What waits for a line may go by another one now."""
        if len(self._written) < len(self._under_way):
            for effect in [each for each in self._under_way.values() if each.delivery not in self._written]:
                self._give(effect)

    def start(self, effect: DeliverNow) -> None:
        """An attempt is committed, or was found under way in a journey that was loaded."""
        if self._is_with_somebody(effect):
            return
        self.settle(effect.delivery)
        self._under_way[effect.delivery] = effect
        self._give(effect)

    def settle(self, delivery: str) -> None:
        """The attempt's outcome is committed."""
        self._under_way.pop(delivery, None)
        if (peer := self._written.pop(delivery, None)) is not None:
            self._busy[peer] -= 1

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

    def _is_with_somebody(self, effect: DeliverNow) -> bool:
        """Whether it was written to a peer's line before; that one is asked again. Another would not know it."""
        known, peer = self._under_way.get(effect.delivery), self._written.get(effect.delivery, "")
        if known is None or known.attempt != effect.attempt or not peer:
            return False
        self._under_way[effect.delivery] = effect
        line = self._lines[peer.partition(":")[0]][peer]
        if line.open:
            line.send(effect)
        return True

    def _give(self, effect: DeliverNow) -> None:
        lines = self._lines.get(self._served_by.get(effect.account, ""), {}).values()
        taking = [line for line in lines if self._takes(line.peer, effect.account)] if len(lines) > 1 else []
        reached = [line for line in taking or lines if line.open]
        if reached:
            line = min(reached, key=lambda each: self._busy[each.peer])
            self._written[effect.delivery] = line.peer
            self._busy[line.peer] += 1
            line.send(effect)
