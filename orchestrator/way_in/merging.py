"""Merging two customers, and taking them apart again: the commands in which two customers' cells take part.

    merge_customers    to B, naming A     A gives itself (its own commit), B takes it in (B's): then it is answered
    unmerge_customers  to B, naming A     B releases A, A has its affairs again: then it is answered

Each half is asked under the command's own id, so that whoever asks again, by whichever gateway, goes on where it
stopped before. What a gateway leaves half done as it dies the cells finish all the same: the journal tells them.
"""

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from actors.fault import Tasks
from orchestrator.cell_lines.cells import Cells
from orchestrator.way_in.answers import answer_of
from protocol.commands import AnyCommand, GiveCustomer, MergeCustomers, UnmergeCustomers
from protocol.errors import Code, Refusal, shown
from protocol.identities import kind_of
from protocol.ids import may_be_person
from protocol.journal import MergeDue
from protocol.links import Answered, AnyToCell, CustomerRead, ReadCustomer, Settle

_log = structlog.get_logger(__name__)

UNDER_WAY_MAX = 64
"""Merges by rules that are carried out at a time; the others are said again by the customers' next events."""

AskOf = Callable[[str, AnyCommand], Callable[[int], AnyToCell]]
"""Makes the question that asks a command of a customer, under the command's id."""


class ByRule:
    """Carries out the merges that the policy's match rules ask for, one at a time for each customer. One that is lost
    with its gateway, or refused, is asked for again by the next such event; until then the review list has it. `broke`
    hears of a bug."""

    def __init__(self, run: Callable[[MergeDue], Awaitable[Answered]], broke: Callable[[Exception], None]) -> None:
        self._run = run
        self._tasks = Tasks(broke)
        self._under_way: set[str] = set()
        """The customers."""

    def due(self, merge: MergeDue) -> None:
        """Begins it, unless one of the customer is under way, or too many are."""
        if merge.customer not in self._under_way and len(self._under_way) < UNDER_WAY_MAX:
            self._under_way.add(merge.customer)
            self._tasks.begin(self._carry_out(merge))

    async def _carry_out(self, merge: MergeDue) -> None:
        try:
            await self._run(merge)
        except Refusal as refusal:
            _log.info("merge.by_rule_refused", code=refusal.code, rule=merge.rule)
        finally:
            self._under_way.discard(merge.customer)


async def merge(
    cells: Cells, customer: str, command: MergeCustomers, ask: AskOf, due: MergeDue | None = None
) -> Answered:
    """Merges `command.other` into the customer; `due`: because a rule says so. Raises `Refusal`."""
    if command.other == customer:
        raise Refusal(Code.INVALID, "a customer is not merged into itself", field="other")
    identities = await _known(cells, customer)
    give = GiveCustomer(
        customer=command.other,
        to=customer,
        reason=command.reason,
        identity=due.identity if due else "",
        verified=due is not None and due.verified,
        kinds=sorted({kind_of(each) for each in identities}) if due else [],
    )
    given = answer_of(await cells.call(command.other, ask(command.other, give)))
    taken_in = await cells.call(customer, lambda ref: Settle(ref, customer, command.other, 0))
    # A refusal here means that it was taken in, and has been released or given on since.
    position = taken_in.position if isinstance(taken_in, Answered) else 0
    return msgspec.structs.replace(given, position=max(given.position, position))


async def unmerge(cells: Cells, customer: str, command: UnmergeCustomers, ask: AskOf) -> Answered:
    """Takes `command.other` out of the customer again. Raises `Refusal`."""
    released = answer_of(await cells.call(customer, ask(customer, command)))
    # The answer does not matter: the release is committed, and the other takes its affairs back when first asked.
    await cells.call(command.other, lambda ref: Settle(ref, command.other, customer, 0, back=True))
    return released


async def _known(cells: Cells, customer: str) -> list[str]:
    """The customer's identities. Raises `Refusal` where there is no such customer: it cannot be merged into."""
    known = await cells.call(customer, lambda ref: ReadCustomer(ref, customer))
    view = known.view if isinstance(known, CustomerRead) else None
    if view is None or not may_be_person(customer):
        raise Refusal(Code.NOT_FOUND, f"no customer {shown(customer)}", field="customer")
    if view.customer != customer:
        text = f"{customer} is merged into {view.customer}: merge into that one"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="customer")
    return view.identities
