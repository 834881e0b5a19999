"""Recovery: how long after a strike everything is given again, as someone outside finds it.

back        a new event is acked, its row is in the archive, the mail port answers, and the struck processes are new
caught up   every agent has been shown all that the journal had when it was back
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.client import GatewayClient
from tests.faults.others import patience
from tests.faults.strikes import CELLS
from tests.faults.traffic import Record
from tests.faults.truth import Truth, archived
from tests.faults.victim import Victim
from tests.faults.watchers import View
from tests.people import Customer

LOOK_EVERY_S = 0.05
BACK_S_MAX = 60.0
"""Until a server counts as not coming back."""
CAUGHT_UP_S_MAX = 5.0
"""After the service is back, on a machine that has nothing else to do: the promise."""
GREETING = b"220 "


class Recovery(Struct, frozen=True):
    """One strike's times, in seconds after it; after a standstill's end."""

    kind: str
    kills: int
    back_s: float
    caught_up_s: float

    @property
    def behind_s(self) -> float:
        """How long after the service was back the last agent had caught up."""
        return max(0.0, self.caught_up_s - self.back_s)


class Probe:
    """Somebody who asks for every service, and sees it given."""

    def __init__(self, server: Victim, client: GatewayClient, truth: Truth, record: Record) -> None:
        self._server = server
        self._client = client
        self._truth = truth
        self._record = record
        self._person = Customer()
        self._asked = 0

    async def back(self, before: Mapping[str, int], struck: Iterable[int]) -> None:
        """Returns when the service is whole: those `struck` are replaced, and of `before` none is missing."""
        gone, under_way = set(struck), self._record.sent - self._record.acked
        await until(lambda: self._renewed(before, gone), BACK_S_MAX, "the struck processes are not made anew")
        self._asked += 1
        word = f"{self._person.name} probe {self._asked}"
        self._record.sent.add(word)
        assert await self._client.send(self._person.chat(word)) in ("committed", "repeat")
        self._record.acked.add(word)
        position = self._truth.read().position
        await until(lambda: archived(self._server.data) >= position, BACK_S_MAX, "the archive does not follow")
        await self._greeted()
        await until(lambda: under_way <= self._record.acked, BACK_S_MAX, "what was under way is not acked")

    def _renewed(self, before: Mapping[str, int], gone: set[int]) -> bool:
        now = self._server.pids
        # Cells may come and go, where each customer has one: that some serve is shown by the event's ack.
        lasting = {name for name in before if not name.startswith(CELLS)}
        return set(now) >= lasting and gone.isdisjoint(now.values())

    async def _greeted(self) -> None:
        """The mail port says its 220."""
        deadline_s = time.monotonic() + BACK_S_MAX
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._server.smtp_port)
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                if (await reader.readline()).startswith(GREETING):
                    return
            finally:
                writer.close()


async def caught_up(views: Sequence[View], heads: Mapping[str, int], within_s: float) -> None:
    """Returns when every view has these heads."""
    await until(lambda: not any(view.behind(heads) for view in views), within_s, "an agent does not catch up")


async def until(condition: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Looks until it is so. Raises `AssertionError` with the reason where it is not in time, which is longer on a
    machine whose work queues."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > patience(within_s):
            raise AssertionError(f"{otherwise} within {within_s:g} s")
        await asyncio.sleep(LOOK_EVERY_S)


def kinds(recoveries: Sequence[Recovery]) -> dict[str, list[Recovery]]:
    """By what was struck."""
    found: dict[str, list[Recovery]] = {}
    for recovery in recoveries:
        found.setdefault(recovery.kind, []).append(recovery)
    return found
