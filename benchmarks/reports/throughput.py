"""`throughput`'s result as a table, and over time."""

from rich.console import Console

from benchmarks.figures.lag import EVERY_S
from benchmarks.figures.own_cpu import Own
from benchmarks.reports.plot import Line, Panel
from benchmarks.reports.report import Row, known, milliseconds, show_figures, show_rest
from benchmarks.scenarios.throughput import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    show_figures("throughput", _rows(result), console)
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """Events and lag, second by second."""
    seconds = [second + 0.5 for second in range(len(result.events_by_second))]
    events = Panel(
        "Events acknowledged and pushed", "second", "events/s", [Line("events/s", seconds, result.events_by_second)]
    )
    lag = result.archive_lag_by_sample_s
    at = [sample * EVERY_S for sample in range(len(lag))]
    return [events, Panel("The archive's lag, warm-up included", "second", "seconds", [Line("lag", at, lag)])]


def _rows(result: Result) -> list[Row]:
    offered = "closed loop" if result.offered_per_s is None else f"of {result.offered_per_s:,.0f} offered"
    return [
        ("events/s", f"{result.events_per_s:,.0f}", f"acked and pushed, {result.seconds:g} s, {offered}"),
        ("relay/s", f"{result.relay_per_s:,.0f}", "raw websockets, nothing stored, same load"),
        ("ratio", f"{result.ratio:.2f}", ""),
        *_sustained(result),
        ("ack", milliseconds(result.ack_ms), "p50 / p90 / p99 / max"),
        ("push", milliseconds(result.push_ms), "p50 / p90 / p99 / max"),
        ("fsync", milliseconds(result.fsync_ms), "one page, idle disk"),
        ("server CPU", known(result.cpu_us_per_event, " µs"), "an event, all processes and the archive"),
        *((f"  {role}", f"{us:.1f} µs", "") for role, us in (result.cpu_us_by_process or {}).items()),
        ("generator CPU", f"{result.generator_us_per_event} µs", f"an event; {_cores(result.generator)}"),
        ("  at the relay", "", _cores(result.relay_generator_cpu)),
        ("others' CPU", known(result.others_cores), "cores, of neither server nor generator"),
        *_archive(result),
        ("in the stores before", f"{result.preloaded:,}", "events"),
        ("sent", f"{result.sent:,}", f"and {result.repeats_sent:,} repeats"),
        ("acked", f"{result.acked:,}", f"and {result.repeats_answered:,} repeats"),
        ("journaled", known(result.journaled), ""),
        ("archived", known(result.archived), ""),
        ("pushed", f"{result.pushed:,}", ""),
    ]


def _cores(own: Own) -> str:
    return f"{own.cores:.2f} of a core, {own.waiting:.2f} waiting for one"


def _sustained(result: Result) -> list[Row]:
    if result.sustained_per_s is None:
        return []
    trials = [
        (
            f"  offered {trial.offered_per_s:,.0f}/s",
            "holds" if trial.holds else "does not hold",
            f"{trial.completed_per_s:,.0f}/s done, lag up to {trial.archive_lag_max_s} s, {trial.seconds:g} s",
        )
        for trial in result.sustained_trials
    ]
    return [("sustained/s", f"{result.sustained_per_s:,.0f}", "the archive's lag under 2 s throughout"), *trials]


def _archive(result: Result) -> list[Row]:
    lag = result.archive_lag_s
    if lag is None:
        return [("archive", "unknown", "")]
    checkpoints = f"{lag.journal_checkpoints} / {lag.archive_checkpoints}"
    return [
        ("archive lag", f"{lag.p99} / {lag.max} s", "p99 / max, while loaded"),
        ("archive level", known(result.archive_level_after_s, " s"), "after the last event"),
        ("checkpoints", checkpoints, "journal / archive, while loaded"),
    ]
