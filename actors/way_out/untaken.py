"""Untaken: who has deliveries that wait for someone to take them, and which accounts are taken.

    a gateway says which of its accounts are taken ─┐
                                                    ├─ both: the customer is looked at, a few of them at a time
    an attempt found nobody to take it ─────────────┘

Also customers that are not in memory are known here: those of a former life are read from the archive. All of it is a
hint. One that is looked at in vain costs that look; one that is missed goes out when its wait is over.
"""

from collections.abc import Callable, Collection, Container, Iterable
from itertools import islice

AT_ONCE_MAX = 64
"""Customers that are looked at in one look, of which there are four in a second: ten thousand that wait at one cell are
on their way within forty seconds, and what others say meanwhile is decided in between."""
UNDER_WAY_MAX = 128
"""Attempts of one account under way in a cell, past which no more customers are looked at for its sake: a client that
has just come back gets no more than it answers."""
READ_MAX = 100_000
"""Customers read from the archive, the longest-waiting first; the others go out when their wait is over, or when
something else brings them into memory."""


class Untaken:
    """Bounded by the customers that have such deliveries."""

    def __init__(self) -> None:
        self._takers: dict[str, frozenset[str]] = {}
        """By gateway: the accounts that are taken there."""
        self._waiting: dict[str, dict[str, None]] = {}
        """By account: customers, the longest known first."""
        self.taken: frozenset[str] = frozenset()
        """The accounts that are taken anywhere."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def takers_are(self, gateway: str, accounts: Collection[str]) -> None:
        """All that are taken there now."""
        self._takers[gateway] = frozenset(accounts)
        self.taken = frozenset().union(*self._takers.values())

    def takes(self, gateway: str, account: str) -> bool:
        """Whether the account is taken there."""
        return account in self._takers.get(gateway, ())

    def waits(self, customer: str, accounts: Iterable[str]) -> None:
        """The customer has deliveries that wait for these accounts to be taken."""
        for account in accounts:
            self._waiting.setdefault(account, {})[customer] = None

    def forget(self, customer: str) -> None:
        """The customer is another's to look after."""
        for waiting in self._waiting.values():
            waiting.pop(customer, None)

    def to_look_at(self, under_way: Callable[[str], int], among: Container[str] | None = None) -> list[str]:
        """Takes out the customers to look at now, of the accounts that are `among` those; `under_way` counts an
        account's attempts."""
        customers: dict[str, None] = {}
        taken = [account for account in self._waiting if account in self.taken and (among is None or account in among)]
        for account in taken:
            waiting = self._waiting[account]
            room = min(AT_ONCE_MAX - len(customers), UNDER_WAY_MAX - under_way(account), len(waiting))
            for customer in list(islice(waiting, max(room, 0))):
                del waiting[customer]
                customers[customer] = None
        return list(customers)
