"""Retention: what goes, in which order, and what stays because something still needs it."""

import os
from pathlib import Path

import msgspec
import pytest

from actors import retention
from actors.archive import Archive, ArchiveBehind
from actors.loading import load
from actors.retention import Retention
from adapters.attachments import AttachmentStore
from adapters.stores.memory import MemoryArchive
from protocol.archive import Due, StoredEvent
from protocol.events import ConversationClosed, ConversationOpened
from protocol.inbound import Attachment, MessageArrived
from protocol.links import TailIs
from tests.actors.world import World, world

KEPT_MS = 10 * retention.EVERY_MS


def store_in(folder: Path) -> AttachmentStore:
    """An open store of attachments."""
    store = AttachmentStore(folder / "attachments")
    store.open()
    return store


def retaining(here: World, files: AttachmentStore, *, trims: bool = True) -> Retention:
    """Retention by the world's clock."""
    return Retention(
        here.journal_store, here.archive_store, files, kept_ms=KEPT_MS, trims=trims, now_ms=lambda: here.now_ms
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


async def test_files_go_when_no_row_names_them(tmp_path: Path) -> None:
    """Old ones alone; an open conversation keeps its own, however old."""
    files = store_in(tmp_path)
    async with world() as here:
        named, unnamed, young = (files.keep(body) for body in (b"named", b"unnamed", b"young"))
        for name in (named, unnamed):
            os.utime(files.path_of(name), (here.now_ms // 1000, here.now_ms // 1000))
        bill = Attachment(name="bill.pdf", size_bytes=5, sha256=named)
        await here.intake.submit(here.event(MessageArrived(text="see", attachments=[bill])))
        await here.archived()
        here.now_ms += KEPT_MS + 1001
        await retaining(here, files).enforce()
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


async def test_what_retention_left_keeps_the_numbers_it_had() -> None:
    """Of a conversation that is over the opening and the closing are left: the closing is the sixth, as it was."""
    journey, _ = await load("cu1", _Left(), _no_tail)
    conversation = journey.conversations["cu1-1"]
    assert (conversation.head, conversation.live, conversation.recent_count) == (6, False, 1)


class _Left:
    """An archive in which retention left two events."""

    async def position(self) -> int:
        return 9

    async def snapshot(self, customer: str) -> None:
        return None

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        opened = ConversationOpened(at_ms=1, customer=customer, queue="default")
        closed = ConversationClosed(at_ms=9)
        return [
            StoredEvent(1, "cu1-1", 1, msgspec.json.encode(opened)),
            StoredEvent(9, "cu1-1", 6, msgspec.json.encode(closed)),
        ]

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        return []


async def _no_tail(customer: str) -> TailIs:
    return TailIs(1, 0, [])


def _refuse(path: Path) -> None:
    raise PermissionError(13, "not yours")
