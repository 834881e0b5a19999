"""The journal's rules, pure: which units of a group are committed, and what the others are answered.

Every store settles a group through `settle` and then writes what it returns, all in one transaction. So the rules are
in one place, and a store only keeps.

    unit.epoch is not the fence's         Stale      another writer has the scope
    unit.batch was settled before         the same answer as then (a resend after an ambiguous failure)
    its customer was refused before it    Skipped    in this group; it was decided on what did not happen
    an identity has a customer already    Taken
    one had one, and the unit knows not   Released
    a step of a merge may not be taken    Unmergeable, or Skipped where the customer has to take in another first
    otherwise                             Committed  at the next position

`Taken`, `Released`, `Unmergeable` and `Skipped` settle their batch too, and are remembered for the scope's epoch, all
but `Taken` as `Skipped`: whoever is told so decides again, and is told the rest. `Stale` settles nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.stores.errors import StoreTrimmed
from adapters.stores.journal import merged_rules
from adapters.stores.journal.merged_rules import Changed, Merged, Rows
from protocol.journal import Committed, Fence, Released, Skipped, Stale, Taken, Unit, Unmergeable, Verdict

REFUSALS_KEPT = 4096
"""Batches of a scope for which a refusal is remembered. A writer that has more unanswered than this could be told that
an older, refused unit was committed; a cell has one append in flight, whose units are at most hundreds in a scope."""

Unmade = Taken | Skipped
"""A verdict under which a unit was settled without being committed, as it is remembered."""

Free = tuple[int, bytes]
"""Of an identity that was released: the position at which it was, and the once-keys it was released with."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """What an opened journal is: its life's name, and its newest position (0: nothing yet)."""

    generation: str
    position: int


@dataclass(slots=True)
class Settlement:
    """What one group changes. `verdicts` has one for each unit, in order; the rest is to be written."""

    verdicts: list[Verdict] = field(default_factory=list)
    committed: list[tuple[int, Unit]] = field(default_factory=list)
    """Positions and their units, ascending."""
    owners: dict[str, str] = field(default_factory=dict)
    """Identities assigned, and their customers."""
    free: dict[str, Free] = field(default_factory=dict)
    """Identities released."""
    merged: Changed = field(default_factory=dict)
    """Customers that became members of others, or left them."""
    batches: dict[str, int] = field(default_factory=dict)
    """The last settled batch of each scope that moved."""
    unmade: dict[tuple[str, int], Unmade] = field(default_factory=dict)
    """Refusals to remember, by (scope, batch)."""


def check_trimmed(durability: str, trimmed: int) -> None:
    """Raises `StoreTrimmed` where a journal that lost units to retention is to be opened with `process` durability.

    An unclean end would then begin a new generation, for which the archive is made anew from what the journal has.
    """
    if durability == "process" and trimmed:
        raise StoreTrimmed(
            f"retention has trimmed the journal up to position {trimmed}; from then on durability must be 'full'"
        )


def settle(
    units: Sequence[Unit],
    *,
    position: int,
    fences: Mapping[str, Fence],
    unmade: Mapping[tuple[str, int], Unmade],
    owners: Mapping[str, str],
    free: Mapping[str, Free],
    merged: Rows,
) -> Settlement:
    """Settles a group. `position` is the newest one, `unmade` the refusals remembered, `owners` the customers of the
    identities that the group names (roots, where those are merged), `free` those of them that were released, `merged`
    the families of the customers that take a step of a merge.

    A batch that is neither settled nor the scope's next is our own bug and raises `AssertionError`.
    """
    group = Settlement()
    holders = _Holders(group, owners, free)
    refused: set[str] = set()
    for unit in units:
        fence = fences.get(unit.scope)
        if fence is None or fence.epoch != unit.epoch:
            group.verdicts.append(Stale(fence.epoch if fence else 0))
            continue
        settled = group.batches.get(unit.scope, fence.batch)
        place = (unit.scope, unit.batch)
        if unit.batch <= settled:
            verdict: Verdict = group.unmade.get(place) or unmade.get(place) or Committed(position)
        elif unit.batch == settled + 1:
            group.batches[unit.scope] = unit.batch
            judged = verdict = _judge(unit, group, refused, holders, merged, position + 1)
            if isinstance(judged, Committed):
                position += 1
            else:
                group.unmade[place] = judged if isinstance(judged, Taken) else Skipped()
        else:
            raise AssertionError(f"{unit.scope}: batch {unit.batch} came after {settled}")
        if not isinstance(verdict, Committed):
            refused.add(unit.customer)
        group.verdicts.append(verdict)
    return group


def raised(scopes: Iterable[str], fences: Mapping[str, Fence], floor: int) -> list[Fence]:
    """The fences of `scopes` with the next epoch, their batches counted anew. Epochs begin at 1, and above those of
    fences that were forgotten (`floor`): a scope never has an epoch twice."""
    known = {scope: fences[scope].epoch if scope in fences else 0 for scope in scopes}
    return [Fence(scope, max(epoch, floor) + 1, 0) for scope, epoch in known.items()]


def forgotten(fences: Mapping[str, Fence], *, over: Iterable[Fence], void: str, raising: Sequence[str]) -> list[Fence]:
    """The fences to forget: those `over`, unless another has raised them since, and all whose scopes begin with `void`;
    none of those that are being raised."""
    given_up = [known for fence in over if (known := fences.get(fence.scope)) and known.epoch == fence.epoch]
    voided = [fence for fence in fences.values() if fence.scope.startswith(void)] if void else []
    return [fence for fence in (*given_up, *voided) if fence.scope not in raising]


def forgotten_below(batch: int) -> int:
    """The batch below which a scope's refusals are forgotten once `batch` is settled."""
    return batch - REFUSALS_KEPT


@dataclass(frozen=True, slots=True)
class _Holders:
    """Whose an identity is, with what the group has changed so far."""

    group: Settlement
    owners: Mapping[str, str]
    known_free: Mapping[str, Free]

    def owner(self, identity: str) -> str | None:
        if identity in self.group.free:
            return None
        return self.group.owners.get(identity) or self.owners.get(identity)

    def free(self, identity: str) -> Free | None:
        if identity in self.group.owners:
            return None
        return self.group.free.get(identity) or self.known_free.get(identity)

    def assign(self, identity: str, customer: str) -> None:
        self.group.owners[identity] = customer
        self.group.free.pop(identity, None)

    def release(self, identity: str, free: Free) -> None:
        self.group.free[identity] = free
        self.group.owners.pop(identity, None)


def _judge(
    unit: Unit, group: Settlement, refused: set[str], holders: _Holders, merged: Rows, position: int
) -> Committed | Taken | Released | Unmergeable | Skipped:
    if unit.customer in refused:
        return Skipped()
    for identity in unit.identities:
        if (owner := holders.owner(identity)) is not None:
            return Taken(identity, owner)
        if (free := holders.free(identity)) is not None and (identity, free[0]) not in unit.inherits:
            return Released(identity, *free)
    if unit.family:
        changed = _stepped(unit, group, merged, position)
        if not isinstance(changed, dict):
            return changed
        group.merged |= changed
    for identity in unit.identities:
        holders.assign(identity, unit.customer)
    for identity, keys in unit.released:
        owner = holders.owner(identity)
        assert owner == unit.customer, f"{unit.customer} releases an identity of {owner or 'nobody'}"
        holders.release(identity, (position, keys))
    group.committed.append((position, unit))
    return Committed(position)


def _stepped(unit: Unit, group: Settlement, merged: Rows, position: int) -> Changed | Unmergeable | Skipped:
    """What the unit's steps of merges change, all or none."""
    changed: Changed = {}
    for step in unit.family:
        known: dict[str, Merged | None] = {**merged, **group.merged, **changed}
        taken = merged_rules.take(step, {customer: row for customer, row in known.items() if row is not None}, position)
        if not isinstance(taken, dict):
            return taken
        changed |= taken
    return changed
