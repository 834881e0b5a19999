"""Astray: what follows an input that was turned away is turned away too, until its asker has heard."""

import pytest

from actors.cells import astray as astrays
from actors.cells.astray import Astray
from actors.cells.live import Envelope
from actors.way_out.outlet import Outlet
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import AnyLink, Input, Unlinked


class Line:
    """To who asks."""

    open = True
    full = False

    def __init__(self, peer: str = "gateway:0") -> None:
        self.peer = peer

    def send(self, message: AnyLink) -> None:
        raise AssertionError("what is answered is sent by others")


def given(ref: int, *identities: str, customer: str = "ann", heard: int = 0, peer: str = "gateway:0") -> Envelope:
    """An input of a gateway."""
    event = InboundEvent(
        id=str(ref), source="s", time_ms=1, account="chat", channel="chat", identities=list(identities),
        data=MessageArrived(text="hi"),
    )  # fmt: skip
    return Envelope(Line(peer), Input(ref, customer, False, event, list(identities), [], ref, ref, heard=heard))


@pytest.fixture
def astray() -> Astray:
    """Of a cell that has turned away one input: of web and tel, since web is not Ann's."""
    made = Astray()
    made.turned_away(given(5, "web", "tel"), Unlinked(5, "web", "ann"))
    return made


def test_what_shares_an_identity_follows(astray: Astray) -> None:
    """Whichever of the two; it is told by which, and that is one that the one before it is held with."""
    assert astray.answer_to(given(6, "tel", "mail")) == Unlinked(6, "tel", "ann")
    assert astray.answer_to(given(7, "mail", "web")) == Unlinked(7, "web", "ann")


def test_what_shares_none_or_is_of_others_does_not_follow(astray: Astray) -> None:
    """Of other identities, of another customer, of another gateway, which has an order of its own."""
    assert astray.answer_to(given(6, "mail")) is None
    assert astray.answer_to(given(6, "tel", customer="bob")) is None
    assert astray.answer_to(given(6, "tel", peer="gateway:1")) is None


def test_who_has_heard_is_let_in_and_all_who_follow(astray: Astray) -> None:
    """They were sent behind it."""
    assert astray.answer_to(given(6, "tel", heard=4)) == Unlinked(6, "tel", "ann")
    assert astray.answer_to(given(6, "web", "tel", heard=5)) is None
    assert astray.answer_to(given(7, "tel")) is None


def test_who_has_heard_of_the_first_alone_waits_for_what_followed_it(astray: Astray) -> None:
    """It is held with the one that followed, when it has heard of that as well."""
    follower = given(6, "tel")
    unlinked = astray.answer_to(follower)
    assert unlinked is not None
    astray.turned_away(follower, unlinked)
    assert astray.answer_to(given(7, "web", "tel", heard=5)) == Unlinked(7, "tel", "ann")
    assert astray.answer_to(given(8, "web", "tel", heard=6)) is None


def test_one_that_is_led_apart_is_followed_by_none() -> None:
    """By what is left of it, it is somebody else's."""
    astray = Astray()
    astray.turned_away(given(5, "web", "tel"), Unlinked(5, "web", "ann", ["tel"]))
    assert astray.answer_to(given(6, "web", "tel")) is None


def test_a_new_life_of_who_asks_is_let_in(astray: Astray) -> None:
    """It counts its questions anew, and has asked nothing before."""
    astray.turned_away(given(5, "web", peer="gateway:1"), Unlinked(5, "web", "ann"))
    astray.forget("gateway:0")
    assert astray.answer_to(given(1, "tel")) is None
    assert astray.answer_to(given(6, "web", peer="gateway:1")) == Unlinked(6, "web", "ann")


def test_the_cell_hears_of_a_new_life() -> None:
    """A line that was only broken is the same life's."""
    outlet = Outlet({}, lambda outcome: None, lambda account, channel: "")
    outlet.astray.turned_away(given(5, "web"), Unlinked(5, "web", "ann"))
    outlet.opened(Line(), fresh=False)
    assert outlet.astray.answer_to(given(6, "web")) == Unlinked(6, "web", "ann")
    outlet.opened(Line(), fresh=True)
    assert outlet.astray.answer_to(given(1, "web")) is None


def test_the_oldest_are_forgotten(astray: Astray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that never came again, here."""
    monkeypatch.setattr(astrays, "ASTRAY_MAX", 8)
    for ref in range(6, 13):
        astray.turned_away(given(ref, f"web{ref}"), Unlinked(ref, f"web{ref}", "ann"))
    astray.turned_away(given(13, "web13"), Unlinked(13, "web13", "ann"))
    assert astray.answer_to(given(14, "web")) is None
    assert astray.answer_to(given(14, "web13")) == Unlinked(14, "web13", "ann")
