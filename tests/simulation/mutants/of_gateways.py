"""Mutants of gateways, pipes, deliveries and clients."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.outbox import Outbox
from orchestrator.cell_lines.cells import Cells
from orchestrator.gateway.websockets import gateway_clients
from orchestrator.gateway.websockets.deliveries import Deliveries
from orchestrator.gateway.websockets.gateway_clients import GatewayConnection
from orchestrator.gateway.websockets.hub import Hub
from orchestrator.gateway.websockets.inboxes import Inboxes
from orchestrator.gateway.websockets.outgoing import Outgoing
from orchestrator.way_in.intake import Intake
from protocol.frames import Ack
from protocol.links import Attempt
from protocol.pipe import PipeEnd
from protocol.watched import WatchedConversations
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant_of_either
def ack_at_the_door(plant: Plant) -> None:
    """The gateway acks an event as it takes it in."""
    event = GatewayConnection._event

    def eager(self: GatewayConnection, arrived: Any) -> None:
        self.send(Ack(ids=[arrived.id]))
        event(self, arrived)

    plant(GatewayConnection, "_event", eager)


# In dedicated placement whoever sat there is mostly seated anew, and watched by that (see the next one): of 500 seeds
# one caught it, and none does now. `cell_lines/test_seats.py` has the case: usher and seat die together.
@mutant
def no_resubscription(plant: Plant) -> None:
    """A cell's new life is not told what the gateway watches."""
    plant(Hub, "fresh", lambda self, cell: None)


@mutant_of_either
def watches_stay_behind(plant: Plant) -> None:
    """The cell that a customer has now is not told what the gateway watches: a seat, or that of whom it was merged
    into."""
    plant(Hub, "moved", lambda self, customer: None)


@mutant_of_either
def no_list_resubscription(plant: Plant) -> None:
    """A cell's new life is not told which lists are watched."""
    plant(Inboxes, "fresh", lambda self, cell: None)


@mutant
def gap_not_noticed(plant: Plant) -> None:
    """The hub passes on an update that begins after a gap, and the agent's session takes it."""
    updated = Hub.updated

    def blind(self: Hub, message: Any) -> None:
        stream = self._streams.get(message.conversation)
        if stream is not None and stream.position >= 0 and not stream.catching_up:
            for watcher in stream.watchers:
                stream.watchers[watcher] = message.seq - 1
            stream.position = message.seq - 1
        updated(self, message)

    plant(Hub, "updated", blind)
    plant(Hub, "fresh", lambda self, cell: None)

    def on_update(self: WatchedConversations, frame: Any, room: bool) -> Any:
        self._positions[frame.conversation] = frame.seq - 1
        return _on_update(self, frame, room)

    _on_update = WatchedConversations.on_update
    plant(WatchedConversations, "on_update", on_update)


@mutant_of_either
def resent_out_of_order(plant: Plant) -> None:
    """Questions that a cell's former life did not answer are asked again in another order."""
    opened = Cells.opened

    def shuffled(self: Cells, line: Any, *, fresh: bool) -> None:
        opened(self, _Reversing(line) if fresh else line, fresh=fresh)

    plant(Cells, "opened", shuffled)


@mutant
def blobs_not_resent(plant: Plant) -> None:
    """A pipe that is made again goes on with the next blob, and forgets those that were lost on the way."""
    receive = PipeEnd.receive

    def careless(self: PipeEnd, blob: bytes) -> Any:
        received = receive(self, blob)
        if received.opened and not received.fresh:
            received.write.clear()
        return received

    plant(PipeEnd, "receive", careless)


@mutant
def unbounded_queue(plant: Plant) -> None:
    """Updates for an agent that does not read are kept without a bound."""
    offer = Outgoing.offer

    def endless(self: Outgoing, frame: bytes, topic: str) -> bool:
        bytes_max, self._bytes_max = self._bytes_max, 2**40
        try:
            return offer(self, frame, topic)
        finally:
            self._bytes_max = bytes_max

    plant(Outgoing, "offer", endless)


@mutant
def dropped_in_silence(plant: Plant) -> None:
    """Updates that found no room are dropped, and nobody is told."""
    offer = Outgoing.offer

    def silent(self: Outgoing, frame: bytes, topic: str) -> bool:
        offer(self, frame, topic)
        self.dropped.clear()
        return True

    plant(Outgoing, "offer", silent)


@mutant_of_either
def handed_out_again_unmarked(plant: Plant) -> None:
    """The channel host makes an attempt that a former life of it may have made."""
    deliver = Outbox.deliver

    def trusting(self: Outbox, attempt: Attempt) -> None:
        deliver(self, msgspec.structs.replace(attempt, again=False))

    plant(Outbox, "deliver", trusting)


@mutant
def uncertain_called_failed(plant: Plant) -> None:
    """A delivery that was written to a client's socket and not answered is said to have failed: it is sent again."""

    def sure(self: Deliveries, attempt: Attempt, reason: str) -> None:
        self._report(attempt, "failed", reason=reason)

    plant(Deliveries, "_unsure", sure)


@mutant
def refused_without_a_trace(plant: Plant) -> None:
    """What the gateway's checks refuse is answered as kept, and is thrown away."""

    async def lost(self: Intake, **_: Any) -> Any:
        return _Kept()

    plant(Intake, "quarantine", lost)


@mutant
def refused_and_not_kept(plant: Plant) -> None:
    """What the gateway's checks refuse is refused with its reason, and does not go to quarantine."""
    plant(gateway_clients, "KEPT", frozenset())


class _Reversing:
    """A line that sends what it is given in one turn the other way round."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._kept: list[Any] = []

    def send(self, message: Any) -> None:
        if not self._kept:
            asyncio.get_running_loop().call_soon(self._flush)
        self._kept.append(message)

    def _flush(self) -> None:
        kept: Sequence[Any] = self._kept[::-1]
        self._kept = []
        for message in kept:
            self._line.send(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


class _Kept:
    """What a caller takes for the answer."""

    status = "quarantined"
    stream = ""
    seq = 0


@mutant_of_either
def back_and_not_told(plant: Plant) -> None:
    """Cells do not hear that a client takes an account's deliveries again."""
    plant(Deliveries, "_say_taken", lambda self: None)
