"""What every part gets from outside."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.pipes.switchboard import Switchboard
from orchestrator.settings import Settings
from orchestrator.storage import Storage
from protocol.ids import RANDOM_BYTES, customer_id


def new_customer() -> str:
    """An id for a customer nobody knew."""
    return customer_id(time.time_ns() // 1_000_000, secrets.token_bytes(RANDOM_BYTES))


class Surroundings:
    """What a part gets from outside: the settings, who it meets, where it stores, the time."""

    def __init__(
        self,
        settings: Settings,
        switchboard: Switchboard,
        storage: Storage,
        *,
        run: Path,
        now_ms: Callable[[], int],
        new_customer: Callable[[], str] = new_customer,
    ) -> None:
        self.settings = settings
        self.switchboard = switchboard
        self.storage = storage
        self.run = run
        """A folder for this run of the server, which only its owner can enter."""
        self.now_ms = now_ms
        self.new_customer = new_customer
