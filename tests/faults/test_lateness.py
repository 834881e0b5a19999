"""The campaign's clocks: what counts as late, what as an outage, and what others' work on the machine excuses."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from protocol.events import ConversationOpened, MessageReceived, Once
from tests.faults.lateness import Outage, Shown, by_strike, outages, shown
from tests.faults.memory import grown_mib
from tests.faults.others import FACTOR_MAX, Others, factor_of
from tests.faults.recovery import Recovery
from tests.faults.strikes import Strike, Target
from tests.faults.traffic import Record
from tests.faults.truth import Truth
from tests.faults.watchers import View


@pytest.mark.parametrize(
    ("found", "behind_s"),
    [
        ([], 8.0),
        ([Outage(0.0, 9.0)], 8.0),
        ([Outage(11.0, 14.0)], 5.0),
        ([Outage(5.0, 14.0)], 4.0),
        ([Outage(11.0, 30.0)], 1.0),
        ([Outage(12.0, 15.0), Outage(11.0, 14.0)], 4.0),
        ([Outage(11.0, 17.0), Outage(12.0, 13.0)], 2.0),
    ],
)
def test_an_outage_is_nobodys_lateness(found: list[Outage], behind_s: float) -> None:
    """An event acked at 10 and shown at 18; what two outages share counts once."""
    assert Shown(10.0, 18.0).behind_s(found) == behind_s


def test_an_outage_is_a_stretch_without_an_ack_after_a_strike() -> None:
    """A pause before the strike, or after the server was whole again, excuses nothing; nor does a short one."""
    acks_s = [0.0, 5.0, 10.0, 10.5, 11.5, 15.0, 15.1, 25.0, 30.0]
    assert outages([Outage(10.2, 16.0), Outage(26.0, 27.0)], acks_s) == [
        Outage(11.5, 15.0),
        Outage(15.1, 25.0),
        Outage(25.0, 30.0),
    ]


def test_each_event_is_counted_with_the_newest_strike_before_it_was_shown() -> None:
    """What was shown before the first strike is no strike's."""
    one, two, three = Shown(0.0, 1.0), Shown(1.0, 4.0), Shown(1.0, 7.0)
    assert by_strike([one, two, three], [2.0, 6.0]) == {0: [two], 1: [three]}


def test_an_event_is_measured_from_its_ack_to_each_view(tmp_path: Path) -> None:
    """By its words; what nobody had an ack for, and what the view was not shown, is not measured."""
    truth, record, view = Truth(tmp_path), Record(), View("an agent")
    words = [
        MessageReceived(
            at_ms=1, interaction=1, channel="chat", identity="web:1", source="s", id=text, provider_ms=1, text=text
        )
        for text in ("a 1", "a 2", "a 3")
    ]
    truth.streams = {"cu1-1": [ConversationOpened(at_ms=1, customer="cu1", queue="q", once=Once(7, 0)), *words]}
    record.acked = {"a 1": 4.0, "a 3": 5.0}
    view.shown = {"cu1-1": {1: 4.5, 2: 6.5, 3: 6.5}}
    assert list(shown(view, truth, record)) == [Shown(4.0, 6.5)]


@pytest.mark.parametrize(
    ("back_s", "behind_s", "grown", "faults"),
    [
        (10.0, 5.0, 63.9, 0),
        (10.1, 5.0, 0.0, 1),
        (10.0, 5.1, 0.0, 1),
        (60.0, 60.0, 0.0, 2),
        (10.0, 5.0, 64.0, 1),
    ],
)
def test_a_recovery_that_takes_too_long_or_too_much_is_a_fault(
    back_s: float, behind_s: float, grown: float, faults: int
) -> None:
    """Each has its bound."""
    strike = Strike(Target.JOURNAL, calm_s=0.0)
    found = Recovery(
        strike.kind, 1, Outage(0.0, 1.0), back_s, strike.back_s_max, 1.0, behind_s=behind_s, grown_mib=grown
    )
    assert len(found.faults()) == faults


def test_who_lived_on_and_grew_is_found() -> None:
    """Neither who is new, under the same name, nor who is gone has grown."""
    before = {("cell-0", 1): 50.0, ("journal", 2): 60.0, ("archive", 3): 10.0}
    assert grown_mib(before, {("cell-0", 1): 55.0, ("journal", 9): 500.0, ("archive", 3): 9.0}) == 5.0
    assert grown_mib(before, {("journal", 9): 500.0}) == 0.0


@pytest.mark.parametrize(("others", "factor"), [(0.0, 1.0), (0.5, 4 / 3), (1.0, 2.0), (2.0, FACTOR_MAX)])
def test_what_others_use_is_an_excuse_up_to_a_point(others: float, factor: float) -> None:
    """Of two cores."""
    assert factor_of(2, others) == pytest.approx(factor)


def test_what_the_run_computes_beside_is_no_excuse() -> None:
    """A process of its own that is busy is not somebody else's work, while it runs as little as when it has ended."""
    others = Others(2)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        while sum(psutil.Process(busy.pid).cpu_times()[:2]) < 0.2:
            time.sleep(0.01)
        assert round(others.used_s(), 6) >= 0.2  # A sum of differences: 0.2 may be a little less.
    finally:
        busy.kill()
        busy.wait()
    assert round(others.used_s(), 6) >= 0.2
