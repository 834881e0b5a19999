"""What every part gets from outside."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.settings import Settings
from orchestrator.storage import Storage
from orchestrator.switchboard import Switchboard


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
    ) -> None:
        self.settings = settings
        self.switchboard = switchboard
        self.storage = storage
        self.run = run
        """A folder for this run of the server, which only its owner can enter."""
        self.now_ms = now_ms
