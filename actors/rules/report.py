"""Rules of the report on lost context: when it is made, which lines of it stand out, and what a change must bring."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Meta, Struct, field

from protocol.losses import LossLine, Measure

if TYPE_CHECKING:
    from actors.rules.policy import Policy

DAY_MS = 86_400_000
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Percent = Annotated[int, Meta(ge=0, le=100)]


class Threshold(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """When a line stands out: both must be reached."""

    count: Count = 5
    percent: Percent = 0
    """Of all occasions."""


class ReportRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Without days no report is made by itself; `throughline report run` makes one by the same rules."""

    days: tuple[Weekday, ...] = ()
    """On which days of the week a report is made."""
    at: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "07:00"
    """The time of day, in `zone`."""
    zone: str = "UTC"
    """As `Europe/London`, of the IANA time zone database."""
    window_ms: int = 7 * DAY_MS
    """How much of the past a report looks at; and how long a change is in force before it is compared."""
    stands_out: Threshold = field(default_factory=Threshold)
    """From when on a line is a finding."""
    measures: dict[Measure, Threshold] = field(default_factory=dict)
    """The same, for one measure."""
    examples: Annotated[int, Meta(ge=1, le=20)] = 5
    """Of each finding."""
    findings_max: Annotated[int, Meta(ge=1, le=100)] = 20
    """New ones of one report: those with the most losses."""
    same_within_percent: Percent = 10
    """After a change, a rate that moved by less than this share of itself is the same."""
    dismissed_for_ms: int = 90 * DAY_MS
    """How long a group whose finding was dismissed is left alone."""

    def __post_init__(self) -> None:
        """Raises `ValueError` that says what to write instead."""
        if self.window_ms < DAY_MS:
            raise ValueError("window: write at least 1 day, so that there is something to compare")
        if len(set(self.days)) < len(self.days):
            raise ValueError("days: each day once")
        for name in self.measures:
            if name not in get_args(Measure):
                raise ValueError(f"measures: there is no measure {name!r}: known are {', '.join(get_args(Measure))}")

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with it: where, as a path of keys, and what to write instead."""
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, LookupError):
            yield ("zone",), f"there is no time zone {self.zone!r}: write {_zone_near(self.zone)}"

    def is_finding(self, line: LossLine) -> bool:
        """Whether a line stands out."""
        limit = next((own for name, own in self.measures.items() if name == line.measure), self.stands_out)
        return line.count >= limit.count and line.count * 100 >= limit.percent * line.occasions


def _zone_near(name: str) -> str:
    """The time zone that was meant: that of the city, or the nearest in its letters."""
    zones = sorted(available_timezones())
    of_city = (zone for zone in zones if zone.rpartition("/")[2].casefold() == name.casefold())
    return next(of_city, "") or next(iter(get_close_matches(name, zones, 1)), "one such as Europe/London or UTC")
