"""The outbox: makes the attempts a cell hands out, once each, and reports what became of them.

Order, back-off and dead letters are the conversation's decisions; here one attempt is one call of a sender. An attempt
that is given out again, because its cell or this process is new, is answered from memory; one marked `again` that
nobody here knows is `uncertain`, since a former life may have made it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from actors.fault import Tasks
from protocol.links import Attempt

_log = structlog.get_logger(__name__)

OUTCOMES_MAX = 10_000
"""Outcomes remembered for attempts that are given out again; the oldest are forgotten, and then count as unknown."""


class SentLike(Protocol):
    """What a sender says of an attempt (see `adapters.channels.Sent`)."""

    @property
    def status(self) -> str:
        """`sent`, `failed`, `refused` or `uncertain`."""
        ...

    @property
    def external_id(self) -> str:
        """The provider's id of the message."""
        ...

    @property
    def code(self) -> str:
        """The provider's own code."""
        ...

    @property
    def reason(self) -> str:
        """For an operator's eyes."""
        ...


class SenderLike(Protocol):
    """One account's way out (see `adapters.channels.Sender`)."""

    def send(self, attempt: Attempt) -> Awaitable[SentLike]:
        """Makes the attempt."""
        ...


class Unknown:
    """The outcome of an attempt that may have been made by a former life, or by a sender that broke."""

    status = "uncertain"
    external_id = ""
    code = ""

    def __init__(self, reason: str) -> None:
        self.reason = reason


Report = Callable[[Attempt, SentLike], None]


class Outbox:
    """Runs attempts, at most `concurrency_per_account` at once on one account; the others wait in their order.

    What waits is bounded by the conversations: each has at most one attempt under way per channel. `broke` hears a bug
    met while an outcome is reported: its cell would wait for it, and the conversation's next message behind it.
    """

    def __init__(
        self,
        senders: Mapping[str, SenderLike],
        report: Report,
        *,
        broke: Callable[[Exception], None],
        concurrency_per_account: int = 8,
    ) -> None:
        self._senders = senders
        self._report = report
        self._turns = {account: asyncio.Semaphore(concurrency_per_account) for account in senders}
        self._tasks = Tasks(broke)
        self._under_way: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._outcomes: OrderedDict[tuple[str, int], SentLike] = OrderedDict()
        self.counts = {"sent": 0, "failed": 0, "refused": 0, "uncertain": 0}

    def deliver(self, attempt: Attempt) -> None:
        """Makes the attempt, unless it was made or is being made. `report` hears the outcome."""
        key = (attempt.delivery, attempt.number)
        if key in self._under_way:
            return
        known = self._outcomes.get(key)
        if known is not None:
            self._report(attempt, known)
        elif attempt.again:
            self._finish(attempt, Unknown("the channel host was replaced during the attempt"))
        else:
            self._under_way[key] = self._tasks.begin(self._attempt(attempt))

    async def drain(self, timeout_s: float) -> None:
        """Waits for attempts under way; what is not done by then is left, and will be uncertain."""
        tasks = list(self._under_way.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                task.cancel()

    def status(self) -> dict[str, int]:
        """Figures for operators."""
        return {"under_way": len(self._under_way), **self.counts}

    async def _attempt(self, attempt: Attempt) -> None:
        try:
            async with self._turns[attempt.account]:
                outcome: SentLike = await self._senders[attempt.account].send(attempt)
        except Exception as exc:  # noqa: BLE001 - whatever a sender's bug raises, its attempt has an outcome
            # A sender raises for bugs alone, and then nobody knows how far it came. Said, counted, and never repeated
            # unless the policy says so; the error itself goes to the log without what was being sent.
            _log.error(
                "outbox.sender_broke", delivery=attempt.delivery, account=attempt.account, error=type(exc).__name__
            )
            outcome = Unknown(f"the sender broke: {type(exc).__name__}")
        finally:
            self._under_way.pop((attempt.delivery, attempt.number), None)
        self._finish(attempt, outcome)

    def _finish(self, attempt: Attempt, outcome: SentLike) -> None:
        # Neither its code nor its reason: they are the provider's words, which may quote what was sent and to whom.
        _log.debug("outbox.attempted", delivery=attempt.delivery, attempt=attempt.number, status=outcome.status)
        self.counts[outcome.status] += 1
        self._outcomes[(attempt.delivery, attempt.number)] = outcome
        if len(self._outcomes) > OUTCOMES_MAX:
            self._outcomes.popitem(last=False)
        self._report(attempt, outcome)
