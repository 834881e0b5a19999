"""A gateway client of the load: pushes events, hears their answers one by one, and sends at once what is to be sent."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order
from benchmarks.load.pushing import Pusher, Shape
from benchmarks.load.wire import Frame, Refused, Wire, frames_of


class Pushes(NamedTuple):
    """What the gateway clients of one load have in common."""

    event: Callable[[int], dict[str, Any]]
    order: Order
    ledger: Ledger
    shape: Shape


class GatewayClient:
    """One connection."""

    def __init__(self, pushes: Pushes, wire: Wire, credits: int) -> None:
        shape = replace(pushes.shape, window=min(pushes.shape.window, credits))
        self.pusher = Pusher(self._send, order=pushes.order, ledger=pushes.ledger, shape=shape)
        self._wire = wire
        self._event = pushes.event
        self._ledger = pushes.ledger

    def hear(self, message: object) -> None:
        """Frames of the server."""
        now_s = time.perf_counter()
        delivered: list[Frame] = []
        for frame in frames_of(message):
            match frame["op"]:
                case "ack":
                    self._on_ack(frame, now_s)
                case "nack":
                    self._ledger.refused += 1
                    self._ledger.refusal = f"{frame['code']} {frame['message']}"
                    self.pusher.answered(int(frame["id"]))
                case "deliver":
                    delivered.append(_sent(frame))
                case "ping":
                    self._wire.answer({"op": "pong"})
                case "error":
                    raise Refused(f"gateway client: {frame['code']} {frame['message']}")
        if delivered:
            self._wire.answer(delivered)

    def _on_ack(self, frame: Frame, now_s: float) -> None:
        status = frame.get("status", "committed")
        for one in frame["ids"]:
            number = int(one)
            if status == "quarantined":
                self._ledger.refused += 1
                self._ledger.refusal = "quarantined"
            else:
                self._ledger.ack(number, now_s, repeat=status == "repeat")
            self.pusher.answered(number)

    def _send(self, numbers: list[int]) -> None:
        event = self._event
        self._wire.write({"op": "events", "events": [event(one) for one in numbers]})


def _sent(frame: Frame) -> Frame:
    """The answer to a `deliver`, as of a provider that takes everything."""
    delivery = frame["delivery"]
    named = {"delivery": delivery, "attempt": frame["attempt"], "external_id": f"benchmark-{delivery}"}
    return {"op": "delivered", "status": "sent", **named}
