"""When a report is due: by the day and hour of a place, also where its clock jumps."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from actors.rules.report import ReportRules, Weekday
from orchestrator.bundles.making import make
from orchestrator.policy.first import set_up_of
from orchestrator.report.schedule import latest_due_ms, week_of
from orchestrator.settings import Settings

LONDON = ZoneInfo("Europe/London")
MONDAY: tuple[Weekday, ...] = ("monday",)


def at(text: str) -> int:
    """A time in London in milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp() * 1000)


@pytest.mark.parametrize(
    ("days", "now", "due"),
    [
        (MONDAY, "2026-01-05T07:00", "2026-01-05T07:00"),
        (MONDAY, "2026-01-05T06:59", "2025-12-29T07:00"),
        (MONDAY, "2026-01-11T23:59", "2026-01-05T07:00"),
        (("monday", "thursday"), "2026-01-09T00:00", "2026-01-08T07:00"),
        (MONDAY, "2026-03-30T07:00", "2026-03-30T07:00"),
        (MONDAY, "2026-10-26T07:00", "2026-10-26T07:00"),
    ],
)
def test_the_latest_time_that_is_due(days: tuple[Weekday, ...], now: str, due: str) -> None:
    """At the hour of the place, in summer and in winter."""
    assert latest_due_ms(ReportRules(days=days, zone="Europe/London"), at(now)) == at(due)


def test_without_days_nothing_is_due() -> None:
    """As it is without a bundle."""
    assert latest_due_ms(ReportRules(), at("2026-01-05T07:00")) == 0


def test_a_week_is_that_of_its_day() -> None:
    """Monday to Sunday, in UTC."""
    monday, end = week_of("2026-11-29")
    assert (monday, end - monday) == (week_of("2026-11-23")[0], 7 * 86_400_000)
    with pytest.raises(ValueError, match="does not match"):
        week_of("next week")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("zone: Mars/Olympus\n", 1, "there is no time zone 'Mars/Olympus'"),
        ("days: [monday]\nat: 25:00\n", 2, "at: '25:00' does not fit"),
        ("days: [moonday]\n", 1, "did you mean monday?"),
        ("window: 2h\n", 1, "write at least 1 day"),
        ("days: [monday, monday]\n", 1, "each day once"),
        ("measures:\n  lost_socks:\n    count: 3\n", 2, "there is no measure 'lost_socks'"),
    ],
)
def test_a_schedule_that_cannot_be_is_told_with_its_line(text: str, line: int, words: str) -> None:
    """And what to write instead."""
    [wrong] = make({"report.yaml": text}, set_up_of(Settings())).wrong
    assert (wrong.file, wrong.line) == ("report.yaml", line)
    assert words in wrong.text
