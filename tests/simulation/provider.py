"""The provider: what carries messages to customers. It records what it really sent, and lies, fails and hesitates.

An attempt is really sent at one moment, or never. What the provider says of it afterwards may be nothing at all: then
the outcome is `uncertain`, and the record alone knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from adapters.channels import SendStatus, Sent
from protocol.links import Attempt
from protocol.wording import digest_of
from tests.simulation.life import Life

ACCOUNTS = ("mail", "sms")
"""Those the channel host serves."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One message that really left."""

    delivery: str
    attempt: int
    account: str
    to: str
    text: str
    digest: str
    """What reports on it give back."""


class Provider:
    """`attempted(delivery, attempt)` is called before each, `sent` holds what left."""

    def __init__(self, random: Random, attempted: Callable[[str, int], None]) -> None:
        self._random = random
        self._attempted = attempted
        self.sent: list[Sending] = []
        self.trouble = 0.0
        """Share of attempts that do not simply succeed."""
        self.struck: Callable[[], None] = _unheard
        """Hears of each of them."""
        self.left: Callable[[Sending], None] = _unreported
        """Hears of each message as it leaves."""

    def senders(self, life: Life) -> dict[str, "ProviderSender"]:
        """Each account's way out, for one life of the channel host."""
        return {account: ProviderSender(self, life) for account in ACCOUNTS}

    def outcome(self) -> tuple[str, bool]:
        """What is said of an attempt, and whether it is really sent."""
        if self._random.random() >= self.trouble:
            return "sent", True
        self.struck()
        return self._random.choice(
            [("failed", False), ("failed", False), ("refused", False), ("uncertain", True), ("uncertain", False)]
        )

    def hangs(self) -> bool:
        """Whether nothing is ever said of an attempt that nobody made."""
        return self._random.random() < self.trouble / 10

    def takes_s(self) -> float:
        """How long an attempt takes, in two halves."""
        return self._random.uniform(0.005, 0.3) * (10 if self._random.random() < self.trouble / 4 else 1)

    def record(self, sending: Sending) -> None:
        """It leaves now."""
        self.sent.append(sending)
        self.left(sending)

    def attempt(self, delivery: str, attempt: int) -> None:
        """Someone asks for it."""
        self._attempted(delivery, attempt)


class ProviderSender:
    """One account's sender (see `adapters.channels.Sender`)."""

    def __init__(self, provider: Provider, life: Life) -> None:
        self._provider = provider
        self._life = life

    async def send(self, attempt: Attempt) -> Sent:
        self._provider.attempt(attempt.delivery, attempt.number)
        status, really = self._provider.outcome()
        await self._life.passing(self._provider.takes_s())
        if really:
            digest = digest_of(attempt.to, attempt.subject, attempt.text)
            self._provider.record(
                Sending(attempt.delivery, attempt.number, attempt.account, attempt.to, attempt.text, digest)
            )
        await self._life.passing(self._provider.takes_s())
        return Sent(status=SendStatus(status), external_id=f"x{attempt.delivery}@provider" if status == "sent" else "")

    async def close(self) -> None:
        """It holds nothing."""


def _unheard() -> None:
    """Nobody counts."""


def _unreported(sending: Sending) -> None:
    """Nobody says anything of it later."""
