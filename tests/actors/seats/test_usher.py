"""The usher: when it reads from the archive who waits for someone to take what they have to send."""

from actors.seats.seating import Seating
from actors.seats.usher import Usher
from protocol.archive import Due, StoredEvent, StoredJourney
from protocol.links import Sitting, TakersAre
from tests.actors.seats.test_seat import Line


class Archive:
    """One customer waits for a client of `chat`."""

    def __init__(self) -> None:
        self.at = 5
        self.asked = 0

    async def position(self) -> int:
        return self.at

    async def stored(self, customer: str) -> StoredJourney:
        raise AssertionError("an usher loads nobody")

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        raise AssertionError("an usher loads nobody")

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        return []

    async def untaken(self, shards: list[int], limit: int) -> list[tuple[str, str]]:
        self.asked += 1
        return [("cu1", "chat")]


async def test_who_waits_for_a_taker_is_read_when_takers_change_and_the_archive_is_far_enough() -> None:
    """Not at each refresh: who was looked at stands in the archive until that has caught up, and would be seated again
    and again."""
    archive, seat, gateway = Archive(), Line("cell:0"), Line("gateway:0")
    usher = Usher(Seating(seats_max=1, warm=1), archive, now_ms=lambda: 1_000)
    for line in (seat, gateway):
        usher.opened(line, fresh=True)
    usher.received(seat, Sitting(0, "", 7))
    usher.received(gateway, TakersAre(["chat"]))
    await usher._refresh(1_000)
    assert archive.asked == 1  # What a seat left behind up to 7 may be missing yet.
    archive.at = 7
    await usher._refresh(1_000)
    assert archive.asked == 2
    archive.at = 9
    usher.received(seat, Sitting(0, "", 9))
    await usher._refresh(1_000)
    assert archive.asked == 2
    usher.received(gateway, TakersAre(["chat", "sms"]))
    await usher._refresh(1_000)
    assert archive.asked == 3
