"""Merged customers in the journal, pure: who is a member of whom, and which step of a merge may be taken.

The journal is the one serial place, so that two merges side by side cannot make a circle:

    (no row) ─ give ─▶ given ─ adopt ─▶ adopted ─ release ─▶ released ─ return ─▶ (no row)

A row says whose affairs a customer's are, until it is released. Who an identity belongs to is what the identities'
table says, and then the root of that customer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol import journal
from protocol.journal import FamilyStep, Skipped, Unmergeable, Unsettled

FAMILY_MAX = 16
"""Customers in one family: whoever looks up an identity's customer takes at most as many steps."""
GIVEN, ADOPTED, RELEASED = "given", "adopted", "released"


@dataclass(frozen=True, slots=True)
class Merged:
    """That a customer's affairs are `into`'s since `position`, or were until then."""

    into: str
    turn: int
    position: int
    state: str


Rows = Mapping[str, Merged]
"""By customer."""
Changed = dict[str, Merged | None]
"""Rows by customer; None: it goes."""


def root_of(rows: Rows, customer: str) -> str:
    """Whose the customer's affairs are now."""
    while (row := rows.get(customer)) is not None and row.state != RELEASED:
        customer = row.into
    return customer


def unsettled(rows: Rows) -> list[Unsettled]:
    """What customers have to take in, in the order in which it happened."""
    found: list[Unsettled] = []
    for customer, row in rows.items():
        if row.state == GIVEN:
            found.append(Unsettled(row.into, customer, row.turn, row.position))
        elif row.state == RELEASED:
            found.append(Unsettled(customer, row.into, row.turn, row.position))
    return sorted(found, key=lambda each: each.position)


def take(step: FamilyStep, rows: Rows, position: int) -> Changed | Unmergeable | Skipped:
    """What a step changes that is committed at `position`, or why it may not be taken. `rows` has all of the families
    of both customers."""
    row = rows.get(step.customer)
    match step.step:
        case journal.GIVE:
            return _give(step, rows, position)
        case journal.ADOPT if _stands(row, step.other, GIVEN, step.turn):
            return {step.customer: Merged(step.other, step.turn, position, ADOPTED)}
        case journal.RELEASE if _stands(row, step.other, ADOPTED, step.turn - 1):
            return {step.customer: Merged(step.other, step.turn, position, RELEASED)}
        case journal.RETURN if _stands(row, step.other, RELEASED, step.turn):
            return {step.customer: None}
        case _:
            assert step.step in (journal.ADOPT, journal.RELEASE, journal.RETURN), step
            return Skipped()


def _stands(row: Merged | None, into: str, state: str, turn: int) -> bool:
    return row is not None and (row.into, row.state, row.turn) == (into, state, turn)


def _give(step: FamilyStep, rows: Rows, position: int) -> Changed | Unmergeable | Skipped:
    giver, to = step.customer, step.other
    unready = any(row.into == giver and row.state == GIVEN for row in rows.values())
    if giver in rows or unready:
        return Skipped()  # Its writer knows too little: it has to take in first what happened.
    if (of := rows.get(to)) is not None:
        if of.state == RELEASED:
            return Unmergeable(f"{to} is being taken out of {of.into}: ask again in a moment")
        return Unmergeable(f"{to} is merged into {root_of(rows, to)}: merge {giver} into that one")
    if giver == to:
        return Unmergeable("a customer is not merged into itself")
    if len(_family(rows, giver)) + len(_family(rows, to)) > FAMILY_MAX:
        return Unmergeable(f"at most {FAMILY_MAX} customers can be one")
    return {giver: Merged(to, step.turn, position, GIVEN)}


def _family(rows: Rows, root: str) -> list[str]:
    """The customers whose affairs are `root`'s, itself the first."""
    found = [root]
    for one in found:
        found += [customer for customer, row in rows.items() if row.into == one and row.state != RELEASED]
    return found
