"""Homes: whose affairs a merged customer's are, as far as a gateway or channel host has heard.

    a question of a customer that gave itself away   `Rehomed` → it, and all that followed it, go on to the new home
    the first of them there                          goes behind a `Settle`: the home takes the customer in first
    a release, heard or found out                    the customer's own cell is asked, behind a `Settle` likewise

What is known here is a hint, and turns only count up: a cell that is asked in vain says what is so.
"""

from dataclasses import dataclass

from protocol.oldest import forget_oldest

HOMES_MAX = 20_000
"""Customers whose home is remembered, the longest unheard of going first: it is heard again from whoever is asked."""


@dataclass(slots=True)
class Home:
    """Whose the affairs are since this turn. `told`: that customer's cell was asked to take them in, or surely has."""

    customer: str
    turn: int
    told: bool = False


class Homes:
    """By customer."""

    def __init__(self) -> None:
        self.known: dict[str, Home] = {}
        """By customer. Others only read it, for each event."""

    def learn(self, customer: str, home: str, turn: int) -> bool:
        """Somebody said so; what was said of a later turn stands. Whether it is news."""
        before = self.known.get(customer)
        if before is not None and before.turn >= turn:
            return False
        self.known.pop(customer, None)
        self.known[customer] = Home(home, turn)
        forget_oldest(self.known, HOMES_MAX)
        return True

    def of(self, customer: str) -> str:
        """Whose its affairs are."""
        path = self.path(customer)
        return path[-1][1].customer if path else customer

    def path(self, customer: str) -> list[tuple[str, Home]]:
        """The customers from this one to whose its affairs are, each with its home. Hints that make a circle are
        forgotten."""
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
        """Those whose affairs are this customer's, or went through its hands. Looks through all there are."""
        members = [each for each in list(self.known) if each != customer]
        return [each for each in members if any(home.customer == customer for _, home in self.path(each))]
