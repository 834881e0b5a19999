"""The watched folder: a bundle on disk that is applied as the server starts, and within a second of each change.

a file changes → all are read, once nobody writes any more → checked → applied, if another bundle is in force
                                                                    → wrong: logged and shown, and that one stays
                                                                    → perhaps not meant: logged and shown as well
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog
from watchfiles import awatch

from orchestrator.bundles.folder import BundleError, read_folder
from orchestrator.bundles.making import Made
from orchestrator.bundles.reading import Wrong
from orchestrator.policy.desk import PolicyDesk, id_of
from protocol.errors import Code, Refusal

_log = structlog.get_logger(__name__)

ACTOR = "operator:policy-folder"
GATHER_MS = 200
"""Changes that come this close together are one: an editor writes a file in several steps."""
LOOK_MS = 400
"""How long the watcher lets changes gather at most before it says so."""
STILL_MS = 1_000
"""How often a folder without changes is looked for: one that was moved away says nothing."""
STILL_S = 0.2
"""Between two readings that have to be the same: half of a file that is being saved may be a bundle, too."""
READINGS_MAX = 25
"""Of a folder that is not still: five seconds of writing are no saving, and told. It is read on all the same."""
AGAIN_S = 1.0
"""After a refusal that may pass, such as a journal that is restarting."""


class PolicyFolder:
    """One a server. What is wrong stands in the desk's `troubles`, what was perhaps not meant in its `remarks`."""

    def __init__(self, folder: Path, desk: PolicyDesk) -> None:
        self._folder = folder
        self._desk = desk
        self._asked: tuple[Mapping[str, str], list[Wrong]] = ({}, [])
        """The bundle that was last looked at, and what was perhaps not meant in it as it was put in force: once it is,
        a check finds no line any more whose channel it changed."""

    async def run(self) -> None:
        """Applies what is there, then follows it until cancelled; also a folder that is put in its place."""
        while True:
            watched = await asyncio.to_thread(_inode, self._folder)
            await self.look()
            if watched:
                await self._follow(watched)
            await asyncio.sleep(AGAIN_S)

    async def _follow(self, watched: int) -> None:
        """Looks at each change, until the folder that is watched is no longer there."""
        changes = awatch(
            self._folder,
            debounce=LOOK_MS,
            step=GATHER_MS,
            recursive=False,
            rust_timeout=STILL_MS,
            yield_on_timeout=True,
        )
        looked = False
        async for changed in changes:
            if await asyncio.to_thread(_inode, self._folder) != watched:
                return
            if changed or not looked:
                # Once without a change: there may have been one before the watch began.
                await self.look()
                looked = True

    async def look(self) -> None:
        """Reads the folder as it is now, and applies it where it is another bundle; again until that is decided."""
        while True:
            try:
                await self._look()
            except Refusal as refusal:
                self._trouble([Wrong(self._folder.name, 0, refusal.message)])
                # Another one applied a version meanwhile, or is to be told of: the folder is compared with that.
                if not refusal.retryable and refusal.code != Code.NOT_ALLOWED_NOW:
                    return
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _look(self) -> None:
        newest = self._desk.policy.version
        in_force = (await self._desk.version(newest)).files
        try:
            files, made = await self._checked(in_force)
        except BundleError as exc:
            self._trouble([Wrong(self._folder.name, 0, str(exc))])
            return
        if made.wrong:
            self._trouble(made.wrong)
            return
        version = newest
        if files != in_force:
            self._asked = (files, made.remarks)
            applied = await self._desk.apply(
                files, actor=ACTOR, id=id_of(files, newest), note=f"the folder {self._folder.name}", base=newest
            )
            version = applied.version
            _log.info("policy.folder_applied", version=version)
        elif files != self._asked[0]:
            self._asked = (files, (await self._desk.check_in_force()).remarks)
        self._remark(version, self._asked[1])
        self._desk.troubles = []

    async def _checked(self, in_force: Mapping[str, str]) -> tuple[dict[str, str], Made]:
        """The folder's texts and what they make; where they are not those in force, once the folder is still. Raises
        `BundleError`, and `Refusal` while it is not."""
        files, wrong = await asyncio.to_thread(read_folder, self._folder)
        for _ in range(READINGS_MAX):
            if files == in_force:
                return files, _with_unread(await self._desk.check(files), wrong)
            # Checking takes about as long as waiting.
            made, later = await asyncio.gather(self._desk.check(files), self._later())
            if later == (files, wrong):
                return files, _with_unread(made, wrong)
            files, wrong = later
        raise Refusal(Code.UNAVAILABLE, "somebody writes here all the time: it is applied once it is still")

    async def _later(self) -> tuple[dict[str, str], list[Wrong]]:
        await asyncio.sleep(STILL_S)
        return await asyncio.to_thread(read_folder, self._folder)

    def _trouble(self, wrong: list[Wrong]) -> None:
        """Logged once for each state of the folder; shown for as long as it is so."""
        if wrong != self._desk.troubles:
            _log.error("policy.folder_wrong", wrong=[str(each) for each in wrong])
        self._desk.troubles = wrong

    def _remark(self, version: int, remarks: list[Wrong]) -> None:
        """Logged once for each version; shown for as long as it is in force."""
        if self._desk.remark(version, remarks) and remarks:
            _log.warning("policy.folder_remarks", version=version, remarks=[str(each) for each in remarks])


def _with_unread(made: Made, wrong: list[Wrong]) -> Made:
    """With what is wrong with files that are no texts."""
    return msgspec.structs.replace(made, wrong=[*wrong, *made.wrong])


def _inode(folder: Path) -> int:
    """Which folder it is; 0 where there is none."""
    try:
        return folder.stat().st_ino if folder.is_dir() else 0
    except OSError:
        return 0
