"""A line of actors that goes nowhere."""

from typing import Any


class KeptLine:
    """To cell 0, which is reached; keeps what is sent."""

    peer = "cell:0"
    full = False

    def __init__(self) -> None:
        self.open = True
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        """Keeps it."""
        self.sent.append(message)
