"""Where context gets lost, counted: lines by measure, channel pair, team, product line and week.

`measures.py` says what is counted. Narrow tables are read whole, wide ones by the time that is asked for
(`python -m benchmarks report` says what it costs).
"""

# ruff: noqa: S608 - what is put together are the words of `measures.py` and this file's; every value is bound.

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.stores.archive.measures import MEASURES, WITH_ALL, Measure
from protocol.losses import LossLine

EXAMPLES_MAX = 5
REPEAT_WITHIN_MS = 14 * 86_400_000
"""A customer who is back so soon after "done" was not helped, or is helped about the same again."""
AT_MAX = 2**63 - 1


class LossesWanted(Struct, kw_only=True, frozen=True):
    """Which losses: from `from_ms` to before `until_ms` (0: no bound); of a channel on either side of a pair, a team, a
    product line; whatever is empty is not asked for."""

    from_ms: int = 0
    until_ms: int = 0
    channel: str = ""
    team: str = ""
    product: str = ""


def losses(
    db: sqlite3.Connection, wanted: LossesWanted, measures: Sequence[Measure] = MEASURES
) -> list[dict[str, Any]]:
    """A row for each measure, group and week that has losses, the most first within a measure. `count` are the losses,
    of so many `occasions`. `mend` and `rule` are what more than half of them lead to; where nothing does, `mend` is
    the file that the measure is mended in."""
    return [
        {
            "measure": line.measure,
            "channels": line.channels,
            "team": line.team,
            "product": line.product,
            "week": week,
            "count": line.count,
            "occasions": line.occasions,
            "examples": line.examples,
            "meaning": measure.meaning,
            "mend": line.file or measure.mend,
            "rule": line.rule,
        }
        for measure in measures
        for week, line in _lines(db, measure, wanted, EXAMPLES_MAX, by_week=True)
    ]


def loss_lines(db: sqlite3.Connection, from_ms: int, until_ms: int, examples: int) -> list[LossLine]:
    """The same over the whole time, without weeks, those with the most losses first."""
    wanted = LossesWanted(from_ms=from_ms, until_ms=until_ms)
    lines = [line for measure in MEASURES for _, line in _lines(db, measure, wanted, examples, by_week=False)]
    return sorted(lines, key=lambda line: -line.count)


def occasions(db: sqlite3.Connection, from_ms: int, until_ms: int) -> dict[tuple[str, str], int]:
    """By measure and place: how often something could have been lost."""
    bounds = _bounds(LossesWanted(from_ms=from_ms, until_ms=until_ms))
    return {
        (measure.name, place): count
        for measure in MEASURES
        for place, count in db.execute(_OCCASIONS.format(all=WITH_ALL, occasions=measure.occasions), bounds)
    }


def _bounds(wanted: LossesWanted) -> dict[str, int | str]:
    return {
        "from_ms": wanted.from_ms,
        "until_ms": wanted.until_ms or AT_MAX,
        "repeat_within_ms": REPEAT_WITHIN_MS,
    }


def _lines(
    db: sqlite3.Connection, measure: Measure, wanted: LossesWanted, examples: int, *, by_week: bool
) -> Iterator[tuple[str, LossLine]]:
    sql = _GROUPED.format(all=WITH_ALL, sql=measure.sql, occasions=measure.occasions)
    asked = {"channel": wanted.channel, "team": wanted.team, "product": wanted.product}
    rows = db.execute(sql, _bounds(wanted) | asked | {"examples": examples, "by_week": by_week})
    for channels, team, product, week, place, count, of, ids, file, by_rule, rule in rows.fetchall():
        yield (
            week,
            LossLine(
                measure=measure.name,
                channels=channels,
                team=team,
                product=product,
                place=place,
                count=count,
                occasions=max(of or 0, count),
                examples=[example for _, example in sorted(msgspec.json.decode(ids))],
                file=file or measure.mend,
                rule=rule if by_rule * 2 > count else "",
            ),
        )


_WEEK = "CASE WHEN :by_week THEN date(at_ms / 1000, 'unixepoch', 'weekday 0', '-6 days') ELSE '' END AS week"
"""Its Monday. The week's days are UTC's, as all times here."""
_GROUPED = f"""
    WITH {{all}},
    loss AS ({{sql}}),
    placed AS (
        SELECT at_ms, channels, team, product, place, example, file, rule, {_WEEK}
        FROM loss WHERE at_ms >= :from_ms AND at_ms < :until_ms
         AND (:team = '' OR team = :team) AND (:product = '' OR product = :product)
         AND (:channel = '' OR instr(' → ' || channels || ' → ', ' → ' || :channel || ' → '))),
    numbered AS (
        SELECT *, count(*) OVER same AS losses, row_number() OVER (same ORDER BY at_ms DESC, example) AS nth,
            count(*) OVER (PARTITION BY channels, team, product, week, file) AS by_file,
            count(*) OVER (PARTITION BY channels, team, product, week, file, rule) AS by_rule
        FROM placed WINDOW same AS (PARTITION BY channels, team, product, week)),
    occasion AS ({{occasions}}),
    counted AS MATERIALIZED (
        SELECT place, {_WEEK}, count(*) AS occasions
        FROM occasion WHERE at_ms >= :from_ms AND at_ms < :until_ms GROUP BY 1, 2),
    -- `rule` is of the row that has the maximum: SQLite's bare columns. More than half are of one file at most.
    line_of AS (
        SELECT channels, team, product, week, place, losses,
            json_group_array(json_array(nth, example)) FILTER (WHERE nth <= :examples) AS ids,
            group_concat(DISTINCT file) FILTER (WHERE by_file * 2 > losses) AS most, max(by_rule) AS by_rule, rule
        FROM numbered
        GROUP BY channels, team, product, week)
    SELECT channels, team, product, week, place, losses, occasions, ids, most, by_rule, rule
    FROM line_of LEFT JOIN counted USING (place, week)
    ORDER BY losses DESC, week DESC, channels, team, product"""
_OCCASIONS = """
    WITH {all}, occasion AS ({occasions})
    SELECT place, count(*) FROM occasion WHERE at_ms >= :from_ms AND at_ms < :until_ms GROUP BY 1"""
