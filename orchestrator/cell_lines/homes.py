"""Homes: which customer has the affairs of a merged one, as far as a gateway or channel host has heard.

    a question of a customer that gave itself away   `Rehomed` → it, and all that followed it, go on to the new home
    the first of them there                          goes behind a `Settle`: the home takes the customer in first
    a release, heard or found out                    the customer's own cell is asked, behind a `Settle` as well

What is known here is a hint: a cell that is asked by mistake says who has the customer. Turns only count up, so that of
two hints the later one is known.
"""

from dataclasses import dataclass

from protocol.oldest import forget_oldest

HOMES_MAX = 20_000
"""Customers whose home is remembered, the longest unheard of going first: it is heard again from whoever is asked."""


@dataclass(slots=True)
class Home:
    """The customer that has the affairs since this turn. `told`: its cell was asked to take them in, or surely has."""

    customer: str
    turn: int
    told: bool = False


class Homes:
    """By customer."""

    def __init__(self) -> None:
        self.known: dict[str, Home] = {}
        """By merged customer. Others only read it, for each event."""

    def learn(self, customer: str, home: str, turn: int) -> bool:
        """Takes in what a cell said, unless a later turn is known. Whether it is news."""
        before = self.known.get(customer)
        if before is not None and before.turn >= turn:
            return False
        self.known.pop(customer, None)
        self.known[customer] = Home(home, turn)
        forget_oldest(self.known, HOMES_MAX)
        return True

    def of(self, customer: str) -> str:
        """The customer that has its affairs; itself where nothing else is known."""
        path = self.path(customer)
        return path[-1][1].customer if path else customer

    def path(self, customer: str) -> list[tuple[str, Home]]:
        """The merged customers from this one on, each with its home; the last home has the affairs of all. Hints that
        make a circle are forgotten."""
        path: list[tuple[str, Home]] = []
        while (home := self.known.get(customer)) is not None:
            path.append((customer, home))
            if home.customer == customer:
                break
            customer = home.customer
            if any(customer == before for before, _ in path):
                for before, _ in path:
                    del self.known[before]
                return []
        return path

    def members_of(self, customer: str) -> list[str]:
        """Those whose affairs this customer has, or passed on. Looks through all there are."""
        members = [each for each in list(self.known) if each != customer]
        return [each for each in members if any(home.customer == customer for _, home in self.path(each))]
