"""When the policy wants a report: days of the week at a time of day, in a time zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from actors.rules.report import ReportRules

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def latest_due_ms(rules: ReportRules, now_ms: int) -> int:
    """The newest time at or before `now_ms` that a report is due at; 0 where none is made by itself.

    A local time that the clock skips in spring counts as if it had not; one that it repeats in autumn counts once.
    """
    if not rules.days:
        return 0
    zone = ZoneInfo(rules.zone)
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    at = time.fromisoformat(rules.at)
    # A day more than a week: today's may be yet to come.
    for back in range(8):
        day = today - timedelta(days=back)
        if _DAYS[day.weekday()] in rules.days:
            due_ms = round(datetime.combine(day, at, zone).timestamp() * 1000)
            if due_ms <= now_ms:
                return due_ms
    raise AssertionError("each day of the week is among eight days")


def week_of(day: str) -> tuple[int, int]:
    """From when to before when the week of a day such as `2026-11-25` lasts, Monday to Sunday in UTC. Raises
    `ValueError`."""
    date = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    monday = date - timedelta(days=date.weekday())
    return round(monday.timestamp() * 1000), round((monday + timedelta(days=7)).timestamp() * 1000)
