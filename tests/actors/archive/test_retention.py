"""Retention: what goes, in which order, and what stays because something still needs it."""

import os
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest

from actors.archive import retention
from actors.archive.archive import Archive, ArchiveAhead, ArchiveBehind
from actors.archive.retention import Retention
from actors.rules.policies import packed
from actors.rules.policy import Policy
from actors.rules.retention import RetentionRules
from adapters.attachments import AttachmentStore
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.journal.memory import MemoryJournal
from protocol.archive import Bounds
from protocol.commands import ApplyPolicy
from protocol.ids import POLICY
from protocol.inbound import Attachment, MessageArrived
from tests.actors.world import World, world

KEPT_MS = 10 * retention.EVERY_MS


def store_in(folder: Path) -> AttachmentStore:
    """An open store of attachments."""
    store = AttachmentStore(folder / "attachments")
    store.open()
    return store


def retaining(here: World, files: AttachmentStore, *, trims: bool = True, kept_ms: int = KEPT_MS) -> Retention:
    """Retention by the world's clock."""
    return Retention(
        here.journal_store, here.archive_store, files, kept_ms=kept_ms, trims=trims, now_ms=lambda: here.now_ms
    )


async def test_the_journal_goes_as_far_as_it_is_old_and_archived(tmp_path: Path) -> None:
    """The position is the newest old one; what is young stays in both."""
    async with world() as here:
        old = await here.intake.submit(here.event("old"))
        here.now_ms += KEPT_MS + 1
        await here.intake.submit(here.event("young"))
        await here.archived()
        kept = retaining(here, store_in(tmp_path))
        assert await kept.enforce() == old.position
        assert await kept.enforce() == 0, "an hour is often enough"
        here.now_ms += retention.EVERY_MS
        assert await kept.enforce() == old.position


async def test_what_is_trimmed_is_on_the_archives_disk(tmp_path: Path) -> None:
    """A power failure right after leaves an archive that has all that the journal has not."""
    async with world() as here:
        answered = await here.intake.submit(here.event("old"))
        await here.archived()
        here.now_ms += KEPT_MS + 1
        through = await retaining(here, store_in(tmp_path)).enforce()
        assert through == answered.position
        here.archive_store.crash()
        assert await here.archive_store.open() >= through


async def test_a_journal_that_may_lose_commits_is_left_whole(tmp_path: Path) -> None:
    """Its archive may have to be made anew; rows of the archive go all the same."""
    async with world() as here:
        await here.intake.submit(here.event("old"))
        await here.archived()
        here.now_ms += KEPT_MS + 1
        assert await retaining(here, store_in(tmp_path), trims=False).enforce() == 0


async def test_the_archive_tells_the_journal_and_conversations_go_on(tmp_path: Path) -> None:
    """An open conversation whose beginning only the archive has is loaded, and continues with no gap."""
    async with world() as here:
        first = await here.intake.submit(here.event("old"))
        await here.archived()
        here.now_ms += KEPT_MS + 1
        await here.restart_archive(retaining(here, store_in(tmp_path)))
        await here.until(lambda: here.journal.trimmed == first.position)
        assert await here.journal_store.read(0, 10) == []
        here.kill_cell(0)
        here.kill_cell(1)
        for index in range(here.cell_count):
            await here.start_cell(index)
        again = await here.intake.submit(here.event("new"))
        assert (again.stream, again.position) == (first.stream, first.position + 1)
        assert again.seq > first.seq


async def test_an_archive_that_lacks_what_was_trimmed_does_not_start() -> None:
    """It would be one with a hole that nobody sees."""
    async with world() as here:
        answered = await here.intake.submit(here.event())
        await here.archived()
        await here.journal_store.trim(answered.position)
        await here.restart_archive(None)
        with pytest.raises(ArchiveBehind, match="backup"):
            await Archive(here.journal_store, MemoryArchive(), gather_s=0).start()
        assert await here.archive_store.position() == answered.position


async def test_an_archive_that_is_newer_than_its_journal_does_not_start() -> None:
    """The journal is a backup's: what it commits next would be missing from the archive, up to where that ends."""
    async with world() as here:
        await here.intake.submit(here.event())
        backup = deepcopy(here.journal_store.disk)
        backup.in_use = False
        newer = await here.intake.submit(here.event())
        store = MemoryArchive()
        await Archive(here.journal_store, store, gather_s=0).start()
        await store.close()
        journal = MemoryJournal(backup, new_generation=lambda: "g2")
        await journal.open()
        with pytest.raises(ArchiveAhead, match="`restored`"):
            await Archive(journal, store, gather_s=0).start()
        await store.close()
        await journal.trim(1)
        with pytest.raises(ArchiveAhead, match=r"backup in its place$"):
            await Archive(journal, store, gather_s=0).start()
        assert await store.position() == newer.position


async def test_an_archive_goes_on_with_the_restored_journal_of_the_same_backup() -> None:
    """Retention has trimmed the journal: the archive alone has what is gone, and cannot be made anew. One that is newer
    than the backup has what was lost since."""
    async with world() as here:
        first = await here.intake.submit(here.event())
        store = MemoryArchive()
        await Archive(here.journal_store, store, gather_s=0).start()
        await here.archived()
        await here.journal_store.trim(first.position)
        backup = deepcopy(here.journal_store.disk)
        backup.in_use, backup.image.unsynced = False, True  # A new generation begins, as with a file `restored`.
        journal = MemoryJournal(backup, new_generation=lambda: "g2")
        assert (await journal.open()).generation == "g2"
        newer = await store.copy()
        await newer.close()
        await store.close()
        archive = Archive(journal, store, gather_s=0)
        await archive.start()
        assert archive.position == await store.position() == first.position
        assert await store.generation() == "g2"
        await here.intake.submit(here.event())
        await Archive(here.journal_store, newer, gather_s=0).start()
        await newer.close()
        with pytest.raises(ArchiveAhead, match=r"backup in its place$"):
            await Archive(journal, newer, gather_s=0).start()


async def test_files_go_when_no_row_names_them(tmp_path: Path) -> None:
    """Those older than the shortest time that is kept, 0 not being one; an open conversation keeps its own, however
    old."""
    files = store_in(tmp_path)
    async with world() as here:
        named, unnamed, young = (files.keep(body) for body in (b"named", b"unnamed", b"young"))
        for name, kept_ms in ((named, here.now_ms), (unnamed, here.now_ms), (young, here.now_ms + 3000)):
            os.utime(files.path_of(name), (kept_ms // 1000, kept_ms // 1000))
        bill = Attachment(name="bill.pdf", size_bytes=5, sha256=named)
        await here.intake.submit(here.event(MessageArrived(text="see", attachments=[bill])))
        await here.archived()
        here.now_ms += KEPT_MS + 1001
        kept = retaining(here, files, kept_ms=0)
        kept.policy_is(_policy(2, dead_letters_ms=KEPT_MS, sent_deliveries_ms=9 * KEPT_MS))
        await kept.enforce()
        assert [files.path_of(name).exists() for name in (named, unnamed, young)] == [True, False, True]


async def test_files_are_looked_at_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn goes on where the last one ended, and begins again at the end."""
    monkeypatch.setattr(retention, "FILES_MAX", 2)
    files = store_in(tmp_path)
    async with world() as here:
        kept, left = retaining(here, files), []
        names = [files.keep(bytes([n])) for n in range(5)]
        here.now_ms += KEPT_MS + 1001
        for name in names:
            os.utime(files.path_of(name), (1, 1))
        for _ in range(3):
            await kept.enforce()
            left.append(sum(files.path_of(name).exists() for name in names))
            here.now_ms += retention.EVERY_MS
        assert left == [3, 1, 0]


async def test_a_folder_that_lets_nothing_go_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive and the journal are seen to, and the files are tried again the next time."""
    files = store_in(tmp_path)
    async with world() as here:
        answered = await here.intake.submit(here.event())
        await here.archived()
        name = files.keep(b"old")
        os.utime(files.path_of(name), (1, 1))
        here.now_ms += KEPT_MS + 1001
        kept = retaining(here, files)
        with monkeypatch.context() as broken:
            broken.setattr(Path, "unlink", _refuse)
            assert await kept.enforce() == answered.position
        assert files.path_of(name).exists()
        here.now_ms += retention.EVERY_MS
        await kept.enforce()
        assert not files.path_of(name).exists()


class _Drops:
    """An archive of which there is always more to drop, `left` times."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[Bounds] = []

    async def drop(self, bounds: Bounds) -> dict[str, int]:
        self.asked.append(bounds)
        self.left -= 1
        return {"quarantine_open": 1} if self.left >= 0 else {}

    async def sync(self) -> int:
        return 9

    async def attached(self, names: set[str]) -> set[str]:
        return set()


class _Times:
    """A journal whose positions are its times, in hours."""

    async def position_before(self, at_ms: int) -> int:
        return at_ms // retention.EVERY_MS


def _policy(version: int, **kept: int) -> Policy:
    return Policy(version=version, retention=RetentionRules(**kept))


def _alone(archive: _Drops, folder: Path, *, kept_ms: int = 0, now_ms: int = 10**12) -> Retention:
    """Retention at a time that stands still."""
    return Retention(_Times(), archive, store_in(folder), kept_ms=kept_ms, trims=True, now_ms=lambda: now_ms)


async def test_the_settings_say_what_the_policy_does_not(tmp_path: Path) -> None:
    """And 0, also in the policy, is for ever."""
    archive = _Drops(0)
    kept = _alone(archive, tmp_path, kept_ms=KEPT_MS)
    kept.policy_is(_policy(4, dead_letters_ms=2 * KEPT_MS, closed_conversations_ms=0))
    await kept.enforce()
    (bounds,) = archive.asked
    assert (bounds.policy, bounds.at_ms) == (4, 10**12)
    assert bounds.closed_conversations_ms == 0
    assert bounds.dead_letters_ms == 10**12 - 2 * KEPT_MS
    assert bounds.quarantine_open_ms == 10**12 - KEPT_MS


@pytest.mark.parametrize(("now_ms", "before_ms"), [(10**12, 10**12 - 7 * KEPT_MS), (6 * KEPT_MS, 0)])
async def test_a_repeat_is_known_for_as_long_as_the_policy_says(tmp_path: Path, now_ms: int, before_ms: int) -> None:
    """However soon what it did is dropped."""
    archive = _Drops(0)
    kept = _alone(archive, tmp_path, now_ms=now_ms)
    kept.policy_is(msgspec.structs.replace(_policy(2, quarantine_open_ms=KEPT_MS), once_keys_ms=7 * KEPT_MS))
    await kept.enforce()
    assert [bounds.once_keys_ms for bounds in archive.asked] == [before_ms]


OTHERS = [name for name in RetentionRules.__struct_fields__ if name != "journal_ms"]


@pytest.mark.parametrize(
    ("rules", "kept_ms", "through"),
    [
        pytest.param({"quarantine_open_ms": 95, "dead_letters_ms": 97}, 0, 5, id="as the shortest of the others"),
        pytest.param(dict.fromkeys(OTHERS, 95), 92, 5, id="of the others alone, where all of them are said"),
        pytest.param({"quarantine_open_ms": 95, "journal_ms": 98}, 0, 2, id="as it says itself"),
        pytest.param({"quarantine_open_ms": 95, "journal_ms": 0}, 96, 0, id="for ever"),
        pytest.param({"quarantine_open_ms": 80, "journal_ms": 85}, 0, 9, id="no less than the archive has on its disk"),
    ],
)
async def test_how_far_the_journal_goes(tmp_path: Path, rules: dict[str, int], kept_ms: int, through: int) -> None:
    """What the policy, and where it says nothing the settings, leave of it at hour 100; the times are in hours."""
    hour = retention.EVERY_MS
    kept = Retention(
        _Times(), _Drops(0), store_in(tmp_path), kept_ms=kept_ms * hour, trims=True, now_ms=lambda: 100 * hour
    )
    kept.policy_is(_policy(2, **{name: hours * hour for name, hours in rules.items()}))
    assert await kept.enforce() == through


async def test_nothing_is_asked_where_everything_is_kept(tmp_path: Path) -> None:
    """Neither the settings nor the policy have a time."""
    archive = _Drops(0)
    assert await _alone(archive, tmp_path).enforce() == 0
    assert archive.asked == []


async def test_a_step_at_a_time_until_nothing_is_left(tmp_path: Path) -> None:
    """The journal is trimmed at the end of the run, as far as its own rule says."""
    archive = _Drops(2)
    kept = _alone(archive, tmp_path, now_ms=10 * KEPT_MS)
    kept.policy_is(_policy(2, quarantine_open_ms=KEPT_MS, journal_ms=10 * KEPT_MS - 5 * retention.EVERY_MS))
    steps = []
    for _ in range(3):
        steps.append((await kept.enforce(), kept.under_way))
    assert steps == [(0, True), (0, True), (5, False)]
    status = kept.status()
    assert (status["last_dropped"], status["last_policy"]) == ({"quarantine_open": 2}, 2)
    assert await kept.enforce() == 0
    assert len(archive.asked) == 3


async def test_what_was_dropped_is_counted_over_all_runs(tmp_path: Path) -> None:
    """Beside what the last one dropped."""
    archive, times = _Drops(2), [10**12]
    kept = Retention(_Times(), archive, store_in(tmp_path), kept_ms=KEPT_MS, trims=True, now_ms=lambda: times[-1])
    for left in (2, 1):
        archive.left = left
        for _ in range(left + 1):
            await kept.enforce()
        times.append(times[-1] + retention.EVERY_MS)
    status = kept.status()
    assert (status["dropped"], status["last_dropped"]) == ({"quarantine_open": 3}, {"quarantine_open": 1})
    assert status["last_run_at_ms"] == times[1]


async def test_a_new_version_holds_at_once(tmp_path: Path) -> None:
    """Shorter: a run begins, whenever the last was. Longer: what a run had yet to drop stays."""
    archive = _Drops(0)
    kept = _alone(archive, tmp_path, now_ms=10**12)
    kept.policy_is(_policy(2, quarantine_open_ms=9 * KEPT_MS))
    await kept.enforce()
    kept.policy_is(_policy(3, quarantine_open_ms=KEPT_MS))
    archive.left = 5
    await kept.enforce()
    assert kept.under_way
    kept.policy_is(_policy(4, quarantine_open_ms=20 * KEPT_MS))
    await kept.enforce()
    asked = [(each.policy, 10**12 - each.quarantine_open_ms) for each in archive.asked]
    assert asked == [(2, 9 * KEPT_MS), (3, KEPT_MS), (4, 20 * KEPT_MS)]


async def test_a_version_that_is_applied_reaches_the_archive(tmp_path: Path) -> None:
    """Through the journal, like everything; and a later life of the archive begins with it."""
    async with world() as here:
        nothing = retaining(here, store_in(tmp_path), kept_ms=0)
        await here.restart_archive(nothing)
        body = packed(_policy(1, quarantine_open_ms=KEPT_MS))
        applied = ApplyPolicy(files={}, body=body, base=1)
        await here.intake.command(actor="operator:op", id="p2", command=applied, customer=POLICY)
        await here.archived()
        assert nothing.status()["policy"] == 2
        later = retaining(here, store_in(tmp_path), kept_ms=0)
        await here.restart_archive(later)
        kept_days = later.status()["kept_days"]
        assert isinstance(kept_days, dict)
        assert kept_days["quarantine_open"] == pytest.approx(KEPT_MS / 86_400_000, abs=0.001)


def _refuse(path: Path, *, missing_ok: bool = False) -> None:
    raise PermissionError(13, "not yours")
