"""Mutants of the stores and of those who write them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.archive import archive
from actors.archive.archive import Archive
from actors.archive.projection import project
from actors.archive.retention import Retention
from actors.identity import linking
from actors.journal.tail import Tail
from adapters.stores.journal import memory as memory_journal
from adapters.stores.journal import rules as journal_rules
from adapters.stores.journal.memory import MemoryJournal
from adapters.stores.journal.rules import Settlement, settle
from protocol.archive import Changes
from protocol.journal import Fence, Record, Unit
from tests.simulation.mutants.planting import Plant, mutant, mutant_of_either


@mutant_of_either
def commit_not_synced(plant: Plant) -> None:
    """The journal says committed before it has synced."""
    commit = MemoryJournal.commit

    async def unsynced(self: MemoryJournal, units: Sequence[Unit]) -> Any:
        self._durability = "process"
        return await commit(self, units)

    plant(MemoryJournal, "commit", unsynced)


@mutant_of_either
def fence_not_checked(plant: Plant) -> None:
    """A commit does not look at its scope's epoch."""

    def careless(units: Sequence[Unit], *, fences: Mapping[str, Fence], **known: Any) -> Settlement:
        batches = {scope: fence.batch for scope, fence in fences.items()}
        blessed = []
        for unit in units:
            fence = fences.get(unit.scope)
            if fence is not None and fence.epoch != unit.epoch:
                batches[unit.scope] += 1
                unit = msgspec.structs.replace(unit, epoch=fence.epoch, batch=batches[unit.scope])
            blessed.append(unit)
        return settle(blessed, fences=fences, **known)

    plant(memory_journal, "settle", careless)


@mutant_of_either
def ambiguous_commit_twice(plant: Plant) -> None:
    """A unit that is sent again after an ambiguous failure is committed once more."""

    def forgetful(units: Sequence[Unit], *, fences: Mapping[str, Fence], **known: Any) -> Settlement:
        batches = {scope: fence.batch for scope, fence in fences.items()}
        anew = []
        for unit in units:
            if unit.scope in batches and unit.epoch == fences[unit.scope].epoch:
                batches[unit.scope] += 1
                unit = msgspec.structs.replace(unit, batch=batches[unit.scope])
            anew.append(unit)
        return settle(anew, fences=fences, **known)

    plant(memory_journal, "settle", forgetful)


@mutant
def first_contact_not_unique(plant: Plant) -> None:
    """An identity that has a customer is given to another one."""
    judge = journal_rules._judge

    def blind(unit: Unit, group: Settlement, refused: set[str], holders: Any, merged: Any, position: int) -> Any:
        group.owners.clear()
        unowned = journal_rules._Holders(group, {}, {})
        return judge(msgspec.structs.replace(unit, released=[]), group, refused, unowned, merged, position)

    plant(journal_rules, "_judge", blind)


@mutant
def once_keys_stay_behind(plant: Plant) -> None:
    """An identity is unlinked without what came for it: whoever gets it next takes a repeat for new."""
    unlink = linking.unlink

    def bare(*args: Any) -> Any:
        return unlink(*args)[0], msgspec.msgpack.encode({})

    plant(linking, "unlink", bare)


@mutant_of_either
def archive_position_ahead_of_rows(plant: Plant) -> None:
    """The archive's position is written in one transaction, the rows that lead to it in the next."""
    follow = Archive._follow

    async def ahead(self: Archive) -> int:
        apply = self._store.apply

        async def in_two(changes: Any) -> None:
            await apply(Changes(changes.position, [], [], []))
            await apply(changes)

        store = self._store
        self._store = _With(store, apply=in_two)
        try:
            return await follow(self)
        finally:
            self._store = store

    plant(Archive, "_follow", ahead)


@mutant_of_either
def archive_leaves_a_unit_out(plant: Plant) -> None:
    """Where many gathered, the archive's newest rows are left out, and its position says that they are there."""

    def short(run: Sequence[Record]) -> Changes:
        whole = project(run)
        return whole if len(run) < 3 else msgspec.structs.replace(project(run[:-1]), position=whole.position)

    plant(archive, "project", short)


@mutant_of_either
def archive_table_behind(plant: Plant) -> None:
    """A table that nothing of the server's own reads does not follow the journal."""

    def without(run: Sequence[Record]) -> Changes:
        whole = project(run)
        return msgspec.structs.replace(whole, patches=[each for each in whole.patches if each.table != "context_item"])

    plant(archive, "project", without)


@mutant_of_either
def archived_said_too_early(plant: Plant) -> None:
    """The journal's tail forgets units that the archive has not got yet: a load is without them."""
    plant(Tail, "of", lambda self, customer: [])


@mutant
def retention_before_sync(plant: Plant) -> None:
    """The journal is trimmed to what the archive has, and may lose again."""
    enforce = Retention.enforce

    async def hasty(self: Retention) -> int:
        archive = self._archive
        self._archive = _With(archive, sync=_reaches_far)
        try:
            return await enforce(self)
        finally:
            self._archive = archive

    plant(Retention, "enforce", hasty)


class _With:
    """Something with one of its methods replaced."""

    def __init__(self, inner: Any, **replaced: Any) -> None:
        self.__dict__.update(replaced)
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def _reaches_far() -> int:
    return 10**9
