"""The table of mutants in `docs/reliability.md`: its rows, read and written."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.mutants.hunting import Caught
from tests.simulation.mutants.planting import MUTANTS

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
HEAD = ("| mutant | fault | caught by seed | promise |", "|---|---|---|---|")
_ROW = re.compile(r"^\| `(\w+)` \| .* \| \S+ \| \w* \|$", re.MULTILINE)


def row_of(found: Caught) -> str:
    """What became of one, as a line of the table."""
    seed = "**survived**" if found.seed is None else str(found.seed)
    return f"| `{found.name}` | {MUTANTS[found.name].fault} | {seed} | {found.promise} |"


def rows_in(page: str) -> dict[str, str]:
    """Each mutant's row, by its name."""
    return {match[1]: match[0] for match in _ROW.finditer(page)}


def with_rows(page: str, found: Iterable[Caught]) -> str:
    """The page with these rows instead of those it had: one for each mutant there is, in the order they are planted."""
    rows = {**rows_in(page), **{each.name: row_of(each) for each in found}}
    head = "\n".join(HEAD)
    before, _, rest = page.partition(f"{head}\n")
    after = rest.partition("\n\n")[2]
    return "\n".join((before + head, *(rows[name] for name in MUTANTS if name in rows), "", after))
