"""Recovery: how long after a strike everything is given again, as someone outside finds it.

without     the longest stretch meanwhile in which nothing was acked
back        a new event is acked, its row is in the archive, the mail port answers, and the struck processes are new
behind      the longest that an acked event was missing from an agent's view, outages aside: see `lateness.py`
grown       what the process that grew most did so by, of those that lived on
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.client import GatewayClient
from tests.faults.lateness import Outage
from tests.faults.memory import GROWN_MIB_MAX
from tests.faults.others import patience
from tests.faults.strikes import CELLS
from tests.faults.traffic import Record
from tests.faults.truth import Truth, archived
from tests.faults.victim import Victim
from tests.faults.watchers import View
from tests.people import Customer

LOOK_EVERY_S = 0.05
GIVEN_UP_S = 60.0
"""Until a server counts as not coming back."""
BEHIND_S_MAX = 5.0
"""The promise: every agent has every event within that time of its ack, or of the end of the outage it fell into."""
GREETING = b"220 "


class Recovery(Struct):
    """One strike's times, in seconds after it; after a standstill's end."""

    kind: str
    kills: int
    broken: Outage
    """By the clock: from the strike, or a stop, to the server's being whole."""
    back_s: float
    back_s_max: float
    """The bound of that on a machine that does nothing else."""
    factor: float
    """By how much that was longer here: others use the machine."""
    without_s: float = 0.0
    behind_s: float = 0.0
    """These two are known at the end, from the journal."""
    grown_mib: float = 0.0

    def faults(self) -> list[str]:
        """Where it took too long, or too much."""
        measured = (("back", self.back_s, self.back_s_max), ("behind by", self.behind_s, BEHIND_S_MAX))
        late = [
            f"{self.kind}: {what} {took_s:.1f} s; the bound is {most_s:g} s, times {self.factor:.1f}"
            for what, took_s, most_s in measured
            if took_s > most_s * self.factor
        ]
        if self.grown_mib < GROWN_MIB_MAX:
            return late
        return [*late, f"{self.kind}: a process grew by {self.grown_mib:.0f} MiB; the bound is {GROWN_MIB_MAX:g}"]


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
        gone, under_way = set(struck), self._record.under_way
        await until(lambda: self._renewed(before, gone), GIVEN_UP_S, "the struck processes are not made anew")
        self._asked += 1
        word = f"{self._person.name} probe {self._asked}"
        self._record.say(word)
        assert await self._client.send(self._person.chat(word)) in ("committed", "repeat")
        self._record.took(word)
        position = self._truth.read().position
        await until(lambda: archived(self._server.data) >= position, GIVEN_UP_S, "the archive does not follow")
        await self._greeted()
        await until(lambda: under_way <= self._record.acked.keys(), GIVEN_UP_S, "what was under way is not acked")

    def _renewed(self, before: Mapping[str, int], gone: set[int]) -> bool:
        now = self._server.pids
        # Cells may come and go, where each customer has one: that some serve is shown by the event's ack.
        lasting = {name for name in before if not name.startswith(CELLS)}
        return set(now) >= lasting and gone.isdisjoint(now.values())

    async def _greeted(self) -> None:
        """The mail port says its 220."""
        deadline_s = time.monotonic() + GIVEN_UP_S
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
