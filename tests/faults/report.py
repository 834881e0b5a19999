"""The report of a campaign, for people."""

from statistics import median

from rich.console import Console
from rich.table import Table

from tests.faults.campaign import Result
from tests.faults.recovery import BEHIND_S_MAX, kinds

FAULTS_SHOWN = 30


def show(results: list[Result], console: Console) -> None:
    """A table of recoveries for each placement, what was going on meanwhile, and every fault."""
    for result in results:
        table = Table(title=f"{result.placement}: {result.kills} kills", title_justify="left")
        for heading in ("killed", "times", "no ack for, s", "back, s", "bound, s", "behind, s", "grown, MiB"):
            table.add_column(heading, justify="left" if heading == "killed" else "right")
        for kind, recoveries in kinds(result.recoveries).items():
            table.add_row(
                kind,
                str(len(recoveries)),
                _spread([each.without_s for each in recoveries]),
                _spread([each.back_s for each in recoveries]),
                f"{recoveries[0].back_s_max:g}",
                _spread([each.behind_s for each in recoveries]),
                f"{max(each.grown_mib for each in recoveries):.0f}",
            )
        console.print(table)
        console.print(_noted(result), style="dim")
        for fault in result.faults[:FAULTS_SHOWN]:
            console.print(f"  {fault}", style="bold red")
        if len(result.faults) > FAULTS_SHOWN:
            console.print(f"  and {len(result.faults) - FAULTS_SHOWN} more", style="bold red")


def _noted(result: Result) -> str:
    factor = max((each.factor for each in result.recoveries), default=1.0)
    return (
        f"min / median / max. {result.words:,} words acked, {result.repeats:,} sent twice, {result.events:,} events in "
        f"the journal, {result.replies:,} replies, {result.doubts:,} visibly uncertain; slowest ack "
        f"{result.slowest_ack_s:.1f} s. Behind: the longest from an ack to the event's place in a view, outages aside, "
        f"of {result.shown:,} looked at; bound {BEHIND_S_MAX:g} s. Bounds are an idle machine's; what others used of "
        f"this one made them up to {factor:.1f} times as long. Seed {result.seed}"
    )


def _spread(values: list[float]) -> str:
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f}"
