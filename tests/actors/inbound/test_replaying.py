"""Replaying: one form at a time, and each of them in or refused before the next."""

import asyncio
from typing import Any

import msgspec
import pytest

from actors.cells import snapshots
from actors.inbound import replaying
from actors.state import journey as journeys
from protocol.commands import BeginReplay, EndReplay, MarkReplayed
from protocol.commands.quarantine import form_of
from protocol.errors import Code, Refusal
from protocol.events import Once, QuarantineReplayed, ReplayBegun
from protocol.links import Answered, Replay
from tests.actors.player import CUSTOMER, Player, names
from tests.actors.world import world

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


def test_its_form_outlives_what_it_was_edited_to() -> None:
    """Retention takes the words; whoever is refused in that form ends it all the same, and nobody else does."""
    player = Player()
    [begun] = player.command(EDIT, conversation="")
    assert isinstance(begun, ReplayBegun)
    loaded = Player()
    journeys.evolve(loaded.state, CUSTOMER, msgspec.structs.replace(begun, raw=b"", once=None), b"")
    assert loaded.state.aside is not None
    assert loaded.state.aside.forms == {"q.1": form_of(EDIT.raw)}
    with pytest.raises(Refusal, match="another form"):
        loaded.command(END_AS_KEPT, conversation="")
    assert names(loaded.command(END_EDIT, conversation="")) == ["ReplayRefused"]


def test_a_form_of_before_it_was_written_down_is_that_of_the_edit() -> None:
    """An earlier build's fact says what the input was edited to alone."""
    player = Player()
    journeys.evolve(player.state, CUSTOMER, ReplayBegun(at_ms=1, quarantine="q.1", raw=EDIT.raw), b"")
    assert names(player.command(END_EDIT, conversation="")) == ["ReplayRefused"]


def test_only_so_many_are_under_way() -> None:
    """Each can be ended or brought in; none is forgotten."""
    player = Player()
    for n in range(replaying.REPLAYING_MAX):
        assert names(player.command(BeginReplay(quarantine=f"q.{n}"), conversation="")) == ["ReplayBegun"]
    with pytest.raises(Refusal) as raised:
        player.command(BeginReplay(quarantine="q.more"), conversation="")
    assert raised.value.code == Code.OVER_LIMIT


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    "other",
    [{"identities": ("mailto:ben@example.org",)}, {"id": "other"}, {"identities": ("mailto:new@example.org",)}],
)
async def test_an_input_has_one_effect_in_whatever_forms_it_is_sent(other: dict[str, Any], at_once: bool) -> None:
    """Somebody who stood still sends the form that was refused, and could come in by now, while another is begun: the
    one that is committed first counts, whosever the two are."""
    async with world(cells=2) as made:
        for known in ("mailto:ann@example.org", "mailto:ben@example.org"):
            await made.intake.submit(made.event("hello", identities=(known,)))
        form = made.event("word", id="e", identities=("mailto:ann@example.org",))
        forms = [form, made.event("word", **({"id": "e", "identities": ("mailto:ann@example.org",)} | other))]
        sent = [made.intake.submit(each, replay=Replay("mail.1", made.now_ms, "operator:o")) for each in forms]
        if at_once:
            done = await asyncio.gather(*sent, return_exceptions=True)
        else:
            done = [(await asyncio.gather(each, return_exceptions=True))[0] for each in sent]
        [came] = [each for each in done if isinstance(each, Answered)]
        [refused] = [each for each in done if isinstance(each, Refusal)]
        assert came.status == "committed"
        assert (refused.code, refused.retryable) == (Code.NOT_ALLOWED_NOW, False)
        assert "came in already" in refused.message
        # It is known by its own once-key, also in another life; and another input is another.
        again = await made.intake.submit(forms[done.index(came)], replay=Replay("mail.1", made.now_ms, "operator:o"))
        assert (again.status, again.stream, again.seq) == ("repeat", came.stream, came.seq)
        next_one = made.event("word", id="next", identities=("mailto:ann@example.org",))
        assert (await made.intake.submit(next_one, replay=Replay("mail.2", made.now_ms, ""))).status == "committed"
