"""The table of mutants in `docs/reliability.md`: its rows, read and written."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.mutants.hunting import Caught
from tests.simulation.mutants.planting import EITHER, MUTANTS

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
HEAD = ("| mutant | fault | pooled: seed, promise | dedicated: seed, promise |", "|---|---|---|---|")
_BECAME = r"(?:\d+, \w+|\*\*survived\*\*|–)"
_ROW = re.compile(rf"^\| `(\w+)` \| .* \| {_BECAME} \| {_BECAME} \|$", re.MULTILINE)


def rows_of(found: Iterable[Caught]) -> dict[str, str]:
    """What became of each under each placement, as lines of the table."""
    became: dict[str, dict[str, str]] = {}
    for each in found:
        what = "**survived**" if each.seed is None else f"{each.seed}, {each.promise}"
        became.setdefault(each.name, {})[each.placement] = what
    return {name: _row(name, of) for name, of in became.items()}


def rows_in(page: str) -> dict[str, str]:
    """Each mutant's row, by its name."""
    return {match[1]: match[0] for match in _ROW.finditer(page)}


def with_rows(page: str, found: Iterable[Caught]) -> str:
    """The page with these rows instead of those it had: one for each mutant there is, in the order they are planted."""
    rows = {**rows_in(page), **rows_of(found)}
    head = "\n".join(HEAD)
    before, _, rest = page.partition(f"{head}\n")
    after = rest.partition("\n\n")[2]
    return "\n".join((before + head, *(rows[name] for name in MUTANTS if name in rows), "", after))


def _row(name: str, of: dict[str, str]) -> str:
    return " | ".join((f"| `{name}`", MUTANTS[name].fault, *(of.get(placement, "–") for placement in EITHER))) + " |"
