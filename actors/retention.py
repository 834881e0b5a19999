"""Retention: what is over for long enough leaves the archive, then the journal, then the folder of attachments.

    archive.prune → archive.sync → the journal may be trimmed to what is old and on the archive's disk
                                 → files that are old, and that no row left names, are removed

That order makes a power failure harmless: nothing leaves the journal before the archive has it for good, and no file
goes that a row still names. The archive's actor calls it between two turns of following.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

EVERY_MS = 3_600_000
"""Retention is counted in days; an hour is often enough."""
FILES_MAX = 20_000
"""Attachments looked at in one turn; the next goes on from there. That many cost the folder's disk about a second."""


class Dated(Protocol):
    """The journal, read-only, by time."""

    async def position_before(self, at_ms: int) -> int:
        """The newest position up to which every unit was committed before `at_ms`."""
        ...


class Prunable(Protocol):
    """The archive's writer, as retention needs it."""

    async def prune(self, before_ms: int) -> int:
        """Drops what was over before then; returns the rows dropped."""
        ...

    async def sync(self) -> int:
        """Makes what was applied durable; returns its position."""
        ...

    async def attached(self, names: set[str]) -> set[str]:
        """Those of the files that a message or a quarantined input names."""
        ...


class Files(Protocol):
    """The folder of attachments. Both methods block; they are called in a thread."""

    def look(self, after: str, before_ms: int, files_max: int) -> tuple[set[str], str]:
        """Looks at up to `files_max` files after the name `after`: those last kept before then, and the last one looked
        at (empty: there are no more)."""
        ...

    def remove(self, names: set[str], before_ms: int) -> int:
        """Removes those that were not kept again since; returns how many."""
        ...


class Retention:
    """Keeps everything for `kept_ms`. `trims`: the journal too is shortened; a journal that may lose its newest units
    (`durability = "process"`) must not be, since its archive may have to be made anew."""

    def __init__(
        self,
        journal: Dated,
        archive: Prunable,
        files: Files,
        *,
        kept_ms: int,
        trims: bool,
        now_ms: Callable[[], int],
    ) -> None:
        assert kept_ms > 0, "0 is no retention at all"
        self._journal = journal
        self._archive = archive
        self._files = files
        self._kept_ms = kept_ms
        self._trims = trims
        self._now_ms = now_ms
        self._enforced_at_ms = 0
        self._looked_to = ""

    async def enforce(self) -> int:
        """Does what is due, at most every `EVERY_MS`. Returns how far the journal may be trimmed; 0: no further."""
        now_ms = self._now_ms()
        if now_ms - self._enforced_at_ms < EVERY_MS:
            return 0
        self._enforced_at_ms = now_ms
        before_ms = now_ms - self._kept_ms
        rows = await self._archive.prune(before_ms)
        synced = await self._archive.sync()
        try:
            files = await self._remove_files(before_ms)
        except OSError as exc:
            # A folder that lets nothing go is for whoever looks after the disk; conversations do not wait for that.
            _log.error("retention.files_kept", error=type(exc).__name__, errno=exc.errno)
            files = 0
        through = min(synced, await self._journal.position_before(before_ms)) if self._trims else 0
        _log.info("retention.enforced", rows=rows, files=files, journal_through=through)
        return through

    async def _remove_files(self, before_ms: int) -> int:
        old, self._looked_to = await asyncio.to_thread(self._files.look, self._looked_to, before_ms, FILES_MAX)
        if not old:
            return 0
        # A file is kept before its message is submitted, so one that is old and not named yet would have to be a
        # message that the archive is behind by the whole time of retention.
        unnamed = old - await self._archive.attached(old)
        return await asyncio.to_thread(self._files.remove, unnamed, before_ms)
