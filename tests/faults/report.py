"""The report of a campaign, for people."""

from statistics import median

from rich.console import Console
from rich.table import Table

from tests.faults.campaign import Result
from tests.faults.recovery import kinds

FAULTS_SHOWN = 30


def show(results: list[Result], console: Console) -> None:
    """A table of recoveries for each placement, what was going on meanwhile, and every fault."""
    for result in results:
        table = Table(title=f"{result.placement}: {result.kills} kills", title_justify="left")
        for heading in ("killed", "times", "back, s", "caught up, s", "behind, s"):
            table.add_column(heading, justify="left" if heading == "killed" else "right")
        for kind, recoveries in kinds(result.recoveries).items():
            table.add_row(
                kind,
                str(len(recoveries)),
                _spread([each.back_s for each in recoveries]),
                _spread([each.caught_up_s for each in recoveries]),
                _spread([each.behind_s for each in recoveries]),
            )
        console.print(table)
        console.print(
            f"min / median / max. {result.words:,} words acked, {result.repeats:,} sent twice, {result.events:,} "
            f"events in the journal, {result.replies:,} replies, {result.doubts:,} visibly uncertain; "
            f"slowest ack {result.slowest_ack_s:.1f} s; seed {result.seed}",
            style="dim",
        )
        for fault in result.faults[:FAULTS_SHOWN]:
            console.print(f"  {fault}", style="bold red")
        if len(result.faults) > FAULTS_SHOWN:
            console.print(f"  and {len(result.faults) - FAULTS_SHOWN} more", style="bold red")


def _spread(values: list[float]) -> str:
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f}"
