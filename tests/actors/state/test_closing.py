"""Closing: which conversations that are over a journey keeps whole."""

import msgspec

from actors.state import journey as journeys
from actors.state.closing import CLOSED_MAX
from protocol.commands import Resolve
from protocol.events import ConversationOpened
from tests.actors.player import CONVERSATION, CUSTOMER, Player, names


def test_the_last_to_close_is_the_last_to_be_forgotten() -> None:
    """A conversation that stayed open while many others closed is still there when it closes itself."""
    player = Player()
    player.message(session="one", channel="chat", identities=("web:1",))
    oldest = player.state.conversations[CONVERSATION]
    for n in range(2, CLOSED_MAX + 4):
        opened = ConversationOpened(at_ms=player.now_ms, customer=CUSTOMER, queue="default")
        journeys.evolve(player.state, f"{CUSTOMER}-{n}", opened, msgspec.msgpack.encode(opened))
        player.command(Resolve(), conversation=f"{CUSTOMER}-{n}")
    player.pass_time(50_000)
    assert len([c for c in player.state.conversations.values() if not c.live]) == CLOSED_MAX
    player.command(Resolve())
    assert names(player.pass_time(50_000)) == ["ConversationClosed"]
    assert player.state.head_of(CONVERSATION) == oldest.head == 5
