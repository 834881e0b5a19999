"""Alarms: when a cell must look at which journey again. Only the nearest moments are kept in memory.

The truth is in the journeys' states and, for those not in memory, in the archive's `timer` table, from which the cell
reads the next hour's every half hour.
"""

import heapq

HORIZON_MS = 3_600_000
"""How far ahead alarms are kept."""
REFRESH_MS = HORIZON_MS // 2
DUE_MAX = 100_000
"""Alarms read at once; past it the later ones wait for the next refresh, which then comes a minute later."""


class Alarms:
    """The next alarm of each customer."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, customer: str, at_ms: int | None, now_ms: int) -> None:
        """The customer's next alarm is at `at_ms`; None, or one beyond the horizon: there is none to keep."""
        if at_ms is None or at_ms > now_ms + HORIZON_MS:
            self._at.pop(customer, None)
        elif self._at.get(customer) != at_ms:
            self._at[customer] = at_ms
            heapq.heappush(self._heap, (at_ms, customer))

    def due(self, now_ms: int) -> list[str]:
        """Takes out the customers whose moment has come."""
        customers: list[str] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, customer = heapq.heappop(self._heap)
            if self._at.get(customer) == at_ms:
                del self._at[customer]
                customers.append(customer)
        return customers
