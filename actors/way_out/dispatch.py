"""Dispatch: hands a cell's committed attempts to whoever serves their account, and again when that one was replaced.

What was written to a line may have been carried out even if the line's other end is new. It goes out again marked
`again`, so that a peer that does not know it answers `uncertain` rather than send twice. What was never written to a
line goes out unmarked.

    of several who serve the account      those where somebody takes it, as far as was heard; else any of them
    of these                              the one with the fewest attempts under way
    none of these can be reached          it waits for one of them, or for somebody to take it elsewhere
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

import msgspec

from actors.lines import Line
from protocol.ids import customer_of
from protocol.links import Attempt


class Dispatch:
    """The attempts under way in a cell. Bounded by the conversations: one a channel of each.

    An attempt that a former life of the cell had handed out goes to the peer that it would go to now; if another one
    has it, that one's answer is taken when it comes.
    """

    def __init__(self, served_by: Mapping[str, str], takes: Callable[[str, str], bool]) -> None:
        self._served_by = served_by
        """Account → the kind of peer that serves it: `channels` or `gateway`."""
        self._takes = takes
        """Whether at this peer somebody takes this account's deliveries, as far as was heard."""
        self._lines: dict[str, dict[str, Line]] = {}
        """Kind of peer → peer → its line."""
        self._under_way: dict[str, Attempt] = {}
        self._written: dict[str, str] = {}
        """Delivery → the peer to whose line it was written."""
        self._busy: Counter[str] = Counter()
        """By peer: how many of those that are written it has."""

    def __len__(self) -> int:
        return len(self._under_way)

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A peer's line is open; one that is new is given what its former life had."""
        kind = line.peer.partition(":")[0]
        self._lines.setdefault(kind, {})[line.peer] = line
        for attempt in list(self._under_way.values()):
            if attempt.delivery not in self._written:
                if self._served_by.get(attempt.account) == kind:
                    self._give(attempt)
            elif fresh and self._written[attempt.delivery] == line.peer:
                # Also where nobody serves the account by now: what it was given it may have made.
                line.send(msgspec.structs.replace(attempt, again=True))

    def takers_changed(self) -> None:
        """Somebody takes other accounts' deliveries now: attempts that wait for a line may have one to go by."""
        if len(self._written) < len(self._under_way):
            for attempt in [each for each in self._under_way.values() if each.delivery not in self._written]:
                self._give(attempt)

    def start(self, attempt: Attempt) -> None:
        """Hands out an attempt that is committed, or was found under way in a journey that was loaded."""
        if self.is_with_somebody(attempt):
            # That one is asked again. Another would not know it.
            self._under_way[attempt.delivery] = attempt
            peer = self._written[attempt.delivery]
            line = self._lines[peer.partition(":")[0]][peer]
            if line.open:
                line.send(attempt)
            return
        self.settle(attempt.delivery)
        self._under_way[attempt.delivery] = attempt
        self._give(attempt)

    def settle(self, delivery: str) -> None:
        """The attempt's outcome is committed."""
        self._under_way.pop(delivery, None)
        if (peer := self._written.pop(delivery, None)) is not None:
            self._busy[peer] -= 1

    def not_given(self) -> list[Attempt]:
        """Those that nobody was given: they wait for a line."""
        return [each for each in self._under_way.values() if each.delivery not in self._written]

    def is_with_somebody(self, attempt: Attempt) -> bool:
        """Whether this very attempt was written to a peer's line before."""
        known = self._under_way.get(attempt.delivery)
        return known is not None and known.number == attempt.number and attempt.delivery in self._written

    def of_account(self, account: str) -> int:
        """How many of the account are under way. Looks through all there are."""
        return sum(1 for attempt in self._under_way.values() if attempt.account == account)

    def unwritten(self, customer: str) -> bool:
        """Whether an attempt of the customer still waits for a line."""
        return any(e.customer == customer and e.delivery not in self._written for e in self._under_way.values())

    def forget(self, customer: str) -> None:
        """The customer is another cell's from now on, and so are its attempts."""
        for attempt in [attempt for attempt in self._under_way.values() if attempt.customer == customer]:
            self.settle(attempt.delivery)

    def forget_of(self, members: Collection[str]) -> None:
        """Conversations that began as one of these customers' are not this cell's any more."""
        for attempt in [each for each in self._under_way.values() if customer_of(each.conversation) in members]:
            self.settle(attempt.delivery)

    def _give(self, attempt: Attempt) -> None:
        lines = self._lines.get(self._served_by.get(attempt.account, ""), {}).values()
        taking = [line for line in lines if self._takes(line.peer, attempt.account)] if len(lines) > 1 else []
        reached = [line for line in taking or lines if line.open]
        if reached:
            line = min(reached, key=lambda each: self._busy[each.peer])
            self._written[attempt.delivery] = line.peer
            self._busy[line.peer] += 1
            line.send(attempt)
