"""Retention: what is over for long enough leaves the archive, then the journal, then the folder of attachments.

    archive.drop, a step at a time → archive.sync → the journal may be trimmed to what is old and on the archive's disk
                                                  → files that are old, and that no row left names, are removed

That order makes a power failure harmless: nothing leaves the journal before the archive has it for good, and no file
goes that a row still names. The archive's actor calls it between two turns of following, so that a policy under which
years of conversations are over keeps nobody waiting.

How long each kind is kept the newest policy says (`actors.rules.retention`), and the settings where it does not.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from actors.rules.policy import Policy
from protocol.archive import Bounds

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

    async def drop(self, bounds: Bounds) -> dict[str, int]:
        """One short step of dropping what was over before `bounds`; how many of each kind. Empty: there is no more."""
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


_NOBODYS = Policy()
"""Says nothing of retention."""


class _Run(Struct):
    """One run: what it drops, and what it has dropped so far, by kind."""

    bounds: Bounds
    dropped: dict[str, int] = {}


class Retention:
    """Keeps what the policy says nothing of for `kept_ms`, 0: for ever.

    `trims`: the journal too is shortened; one that may lose its newest units (`durability = "process"`) must not be,
    since its archive may have to be made anew.
    """

    def __init__(
        self,
        journal: Dated,
        archive: Prunable,
        files: Files,
        *,
        kept_ms: int,
        trims: bool,
        now_ms: Callable[[], int],
        policy: Policy = _NOBODYS,
    ) -> None:
        self._journal = journal
        self._archive = archive
        self._files = files
        self._kept_ms = kept_ms
        self._trims = trims
        self._now_ms = now_ms
        self._policy = policy
        self._enforced_at_ms = 0
        self._run: _Run | None = None
        self._ended: _Run | None = None
        self._looked_to = ""
        self._dropped: dict[str, int] = {}
        """By kind, since this process began."""

    @property
    def under_way(self) -> bool:
        """Whether a run has begun and is to go on: whoever waits for something else should not."""
        return self._run is not None

    @property
    def limited(self) -> bool:
        """Whether anything is to be dropped at some time."""
        return any(self._kept().values())

    def policy_is(self, policy: Policy) -> None:
        """There is a newer version. What it says of retention holds at once, also for a run that is under way."""
        before, self._policy = self._policy, policy
        if (policy.retention, policy.once_keys_ms) != (before.retention, before.once_keys_ms):
            self._run, self._enforced_at_ms = None, 0

    async def enforce(self) -> int:
        """One step of what is due; a run begins at most every `EVERY_MS`. Returns, at the end of one, how far the
        journal may be trimmed; 0: no further."""
        if self._run is None and not self._begin():
            return 0
        assert self._run is not None
        dropped = await self._archive.drop(self._run.bounds)
        for kind, count in dropped.items():
            self._run.dropped[kind] = self._run.dropped.get(kind, 0) + count
            self._dropped[kind] = self._dropped.get(kind, 0) + count
        return 0 if dropped else await self._end(self._run)

    def status(self) -> dict[str, object]:
        """For operators: what is kept for how many days (0: for ever), by which version of the policy, and what the
        last run that ended here dropped."""
        last = self._ended
        return {
            "policy": self._policy.version,
            "kept_days": {kind: round(ms / 86_400_000, 3) for kind, ms in self._kept().items()},
            "last_run_at_ms": last.bounds.at_ms if last else None,
            "last_policy": last.bounds.policy if last else None,
            "last_dropped": last.dropped if last else {},
            "dropped": dict(self._dropped),
        }

    def _begin(self) -> bool:
        now_ms = self._now_ms()
        if now_ms - self._enforced_at_ms < EVERY_MS:
            return False
        self._enforced_at_ms = now_ms
        kept = self._kept()
        if not any(kept.values()):
            return False
        before = {f"{kind}_ms": now_ms - ms for kind, ms in kept.items() if ms and kind != "journal"}
        once_keys_ms = max(0, now_ms - self._policy.once_keys_ms)
        self._run = _Run(Bounds(at_ms=now_ms, policy=self._policy.version, once_keys_ms=once_keys_ms, **before))
        return True

    async def _end(self, run: _Run) -> int:
        synced = await self._archive.sync()
        before_ms = run.bounds.at_ms - self._shortest_ms()
        try:
            files = await self._remove_files(before_ms)
        except OSError as exc:
            # A folder that lets nothing go is for whoever looks after the disk; conversations do not wait for that.
            _log.error("retention.files_kept", error=type(exc).__name__, errno=exc.errno)
            files = 0
        through = await self._trimmed_to(run, synced)
        self._run, self._ended = None, run
        _log.info("retention.enforced", policy=run.bounds.policy, files=files, journal_through=through, **run.dropped)
        return through

    async def _trimmed_to(self, run: _Run, synced: int) -> int:
        kept_ms = self._kept()["journal"]
        if not self._trims or not kept_ms:
            return 0
        return min(synced, await self._journal.position_before(run.bounds.at_ms - kept_ms))

    def _kept(self) -> dict[str, int]:
        """By kind, for how long; 0: for ever."""
        said = msgspec.structs.asdict(self._policy.retention)
        kept = {name.removesuffix("_ms"): self._kept_ms if ms is None else ms for name, ms in said.items()}
        if self._policy.retention.journal_ms is None:
            others = [ms for kind, ms in kept.items() if ms and kind != "journal"]
            kept["journal"] = min(others, default=0)
        return kept

    def _shortest_ms(self) -> int:
        return min(ms for ms in self._kept().values() if ms)

    async def _remove_files(self, before_ms: int) -> int:
        old, self._looked_to = await asyncio.to_thread(self._files.look, self._looked_to, before_ms, FILES_MAX)
        if not old:
            return 0
        # A file is kept before its message is submitted, so one that is old and not named yet would have to be a
        # message that the archive is behind by the whole time of retention.
        unnamed = old - await self._archive.attached(old)
        return await asyncio.to_thread(self._files.remove, unnamed, before_ms)
