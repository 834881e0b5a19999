"""Filling and crowds, against the stand-in of a server."""

from benchmarks.load.filling import Filling, named
from protocol.inbound import MessageArrived
from tests.benchmarks.inputs.test_traffic import taken_by_the_server


def test_everyones_first_message_comes_before_anyones_second() -> None:
    """So that all conversations are live from early on, and none is touched last alone."""
    filling = Filling(conversations=3, messages=2, text_bytes=30, run="r")
    events = [filling.event(number) for number in range(filling.events)]
    assert [event["identities"][0] for event in events] == ["chat:r-0", "chat:r-1", "chat:r-2"] * 2
    assert len({event["id"] for event in events}) == 6
    assert ["subject" in event["data"] for event in events] == [True] * 3 + [False] * 3


def test_the_server_takes_what_is_filled_in() -> None:
    """With texts of the length that was asked for."""
    data = taken_by_the_server(Filling(conversations=2, text_bytes=77, run="r").event(3)).data
    assert isinstance(data, MessageArrived)
    assert len(data.text) == 77


def test_each_filling_has_customers_of_its_own() -> None:
    """A second one makes new conversations."""
    one, other = named(Filling(conversations=1)), named(Filling(conversations=1))
    assert one.event(0)["identities"] != other.event(0)["identities"]
    assert one.event(0)["source"] != other.event(0)["source"]
