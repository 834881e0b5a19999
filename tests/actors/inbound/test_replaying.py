"""Replaying: one form at a time, and each of them in or refused before the next."""

import msgspec
import pytest

from actors.cells import snapshots
from actors.inbound import replaying
from protocol.commands import BeginReplay, EndReplay, MarkReplayed
from protocol.commands.quarantine import form_of
from protocol.errors import Code, Refusal
from protocol.events import Once, QuarantineReplayed, ReplayBegun
from tests.actors.player import Player, names

BEGIN, EDIT = BeginReplay(quarantine="q.1"), BeginReplay(quarantine="q.1", raw=b"{}")
END, MARK = EndReplay(quarantine="q.1", code=4200, reason="no"), MarkReplayed(quarantine="q.1", stream="cu1-1", seq=3)
END_AS_KEPT, END_EDIT = (msgspec.structs.replace(END, form=form_of(begin.raw)) for begin in (BEGIN, EDIT))

Step = BeginReplay | EndReplay | MarkReplayed

STORIES: dict[str, tuple[list[Step], Step, str]] = {
    "begun and in": ([BEGIN], MARK, ""),
    "in without a beginning, as before there was one": ([], MARK, ""),
    "begun twice": ([BEGIN], EDIT, "another replay"),
    "begun, refused, begun in another form": ([BEGIN, END], EDIT, ""),
    "ended without a beginning": ([], END, "no replay"),
    "ended in its form": ([BEGIN], END_AS_KEPT, ""),
    "refused in another form than the one that is begun by now": ([BEGIN, END, EDIT], END_AS_KEPT, "another form"),
    "refused as edited, and begun as kept by now": ([EDIT, END, BEGIN], END_EDIT, "another form"),
    "ended twice": ([BEGIN, END], END, "no replay"),
    "in, and begun again": ([BEGIN, MARK], BEGIN, "replayed already"),
    "in, and in again": ([BEGIN, MARK], MARK, "replayed already"),
    "in, and ended": ([BEGIN, MARK], END, "replayed already"),
    "another input meanwhile": ([BEGIN], BeginReplay(quarantine="q.2"), ""),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_replay_is_begun_marked_and_ended_once(story: str) -> None:
    """The last step is taken, or refused with a reason."""
    before, last, refused = STORIES[story]
    player = Player()
    for step in before:
        player.command(step, conversation="")
    if refused:
        with pytest.raises(Refusal, match=refused) as raised:
            player.command(last, conversation="")
        assert raised.value.code == Code.NOT_ALLOWED_NOW
    else:
        assert len(player.command(last, conversation="")) == 1


def test_what_is_begun_outlives_a_snapshot() -> None:
    """It is exactly after a death that it matters."""
    player = Player()
    [begun] = player.command(EDIT, conversation="")
    assert isinstance(begun, ReplayBegun)
    assert begun.raw == b"{}"
    thawed = snapshots.thaw(snapshots.freeze(player.state))
    assert thawed is not None
    player.state = thawed
    with pytest.raises(Refusal, match="another replay"):
        player.command(BEGIN, conversation="")
    with pytest.raises(Refusal, match="another form"):
        player.command(END_AS_KEPT, conversation="")
    [marked] = player.command(MARK, conversation="")
    assert isinstance(marked, QuarantineReplayed)
    assert (marked.stream, marked.seq) == ("cu1-1", 3)
    assert player.state.aside is not None
    assert (player.state.aside.replaying, player.state.aside.forms) == ((), {})


OWN = Once(2**64 - 1, 9)
packed = msgspec.msgpack.Encoder().encode


def test_who_keeps_it_knows_it_again_once_it_is_to_be_anothers() -> None:
    """Also after a snapshot; and a second beginning adds nothing, whatever became of the first."""
    player = Player()
    begin = BeginReplay(quarantine="q.1", raw=b"{}", input=packed(OWN))
    [begun] = player.command(begin, conversation="")
    assert isinstance(begun, ReplayBegun)
    assert begun.input == OWN
    thawed = snapshots.thaw(snapshots.freeze(player.state))
    assert thawed is not None
    known = thawed.once.get(OWN.key)
    assert known is not None
    assert (known.digest, known.is_elsewhere) == (OWN.digest, True)
    player.command(END, conversation="")
    [again] = player.command(begin, conversation="")
    assert isinstance(again, ReplayBegun)
    assert again.input is None


def test_what_its_source_sent_again_meanwhile_is_not_anothers_any_more() -> None:
    """Of another payload under its name that says nothing."""
    player = Player()
    [once] = [event.once for event in player.message("hello") if event.once is not None]
    with pytest.raises(Refusal, match="as its source sent it again"):
        player.command(BeginReplay(quarantine="q.1", raw=b"{}", input=packed(once)), conversation="")
    other = Once(once.key, once.digest + 1)
    [begun] = player.command(BeginReplay(quarantine="q.1", raw=b"{}", input=packed(other)), conversation="")
    assert isinstance(begun, ReplayBegun)
    assert begun.input is None


def test_only_so_many_are_under_way() -> None:
    """Each can be ended or brought in; none is forgotten."""
    player = Player()
    for n in range(replaying.REPLAYING_MAX):
        assert names(player.command(BeginReplay(quarantine=f"q.{n}"), conversation="")) == ["ReplayBegun"]
    with pytest.raises(Refusal) as raised:
        player.command(BeginReplay(quarantine="q.more"), conversation="")
    assert raised.value.code == Code.OVER_LIMIT
