"""Mutants that one gateway alone would never show: what a cell owes to each of several."""

from actors.lines import Line
from actors.way_out.dispatch import Dispatch
from actors.way_out.watching import Watchers
from protocol.links import Attempt
from tests.simulation.mutants.planting import Plant, mutant_of_either


@mutant_of_either
def one_gateway_is_told(plant: Plant) -> None:
    """A conversation's updates go to the gateway that asked for them last, and to no other."""

    def instead(self: Watchers, conversation: str, line: Line) -> None:
        self._conversations[conversation] = [line]

    plant(Watchers, "watch", instead)


@mutant_of_either
def one_gateway_is_listed_to(plant: Plant) -> None:
    """A list's rows go to the gateway that asked for them last, and to no other."""

    def instead(self: Watchers, name: str, line: Line) -> None:
        self._lists[name] = [line]

    plant(Watchers, "watch_list", instead)


@mutant_of_either
def forgotten_with_another(plant: Plant) -> None:
    """A gateway that is new has the cell forget what all the others watch."""
    forget = Watchers.forget

    def all_of_them(self: Watchers, peer: str) -> None:
        kind = peer.partition(":")[0]
        watching = [
            line for watched in (self._conversations, self._lists) for lines in watched.values() for line in lines
        ]
        for each in sorted({peer, *(line.peer for line in watching if line.peer.startswith(kind))}):
            forget(self, each)

    plant(Watchers, "forget", all_of_them)


@mutant_of_either
def given_to_every_gateway(plant: Plant) -> None:
    """An attempt is handed to each peer that could make it."""
    give = Dispatch._give

    def generous(self: Dispatch, attempt: Attempt) -> None:
        give(self, attempt)
        for line in self._lines.get(self._served_by.get(attempt.account, ""), {}).values():
            if line.open and self._written.get(attempt.delivery) != line.peer:
                line.send(attempt)

    plant(Dispatch, "_give", generous)


@mutant_of_either
def given_where_nobody_takes(plant: Plant) -> None:
    """An attempt goes to the gateway that is least busy, whether or not somebody takes it there."""

    def nowhere(self: Dispatch, attempt: Attempt) -> None:
        takes, self._takes = self._takes, lambda peer, account: True
        try:
            give(self, attempt)
        finally:
            self._takes = takes

    give = Dispatch._give
    plant(Dispatch, "_give", nowhere)
