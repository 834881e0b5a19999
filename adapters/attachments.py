"""Attachments: the files that came with messages, kept under the SHA-256 of their bytes.

    data/attachments/ab/cdef…    the hash in lower-case hex, its first two digits as a folder
    data/attachments/parts/…     files being written
    data/attachments/lock        held shared while a file is kept, alone while files are removed

One convention: a file is whole and synced, its name included, before `keep` returns. Whoever keeps first and submits
the event afterwards never has a committed event that speaks of a file which a power cut took.
"""

import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from adapters.synced import sync
from protocol.errors import Code, Refusal

FILE_BYTES_MAX = 32 * 1024 * 1024
"""A file is never larger than the message it came in; no channel takes messages over 25 MB by default."""
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PARTS = "parts"
_LOCK = "lock"
READ_BYTES = 256 * 1024
"""Of a file that is sent on, in memory at once."""


def name_of(body: bytes) -> str:
    """The name under which the store keeps these bytes: SHA-256, 64 digits of lower-case hex."""
    return hashlib.sha256(body).hexdigest()


class AttachmentStore:
    """A folder of content-addressed files. One process opens it; any may keep, read and remove. All methods block: call
    them in a thread. Errors of the disk (`OSError`) are the caller's to answer: nothing was kept then."""

    def __init__(
        self,
        folder: Path,
        *,
        file_bytes_max: int = FILE_BYTES_MAX,
        sync: Callable[[int], None] = sync,
    ) -> None:
        self._folder = folder
        self._file_bytes_max = file_bytes_max
        self._sync = sync

    def open(self) -> None:
        """Makes the folder, and removes what a crash left half-written."""
        parts = self._folder / _PARTS
        parts.mkdir(parents=True, exist_ok=True)
        for left in parts.iterdir():
            left.unlink()
        # The folder itself may be new: its entry in the data folder must outlive a power cut too.
        self._sync_folder(self._folder.parent)

    def keep(self, body: bytes) -> str:
        """Keeps the bytes and returns their name, once they are synced. The same bytes again cost two folder syncs.

        Raises `Refusal` (`TOO_LARGE`) over the size bound, `OSError` where the disk does not take it.
        """
        if len(body) > self._file_bytes_max:
            raise Refusal(Code.TOO_LARGE, f"a file has {len(body)} bytes; {self._file_bytes_max} are allowed")
        name = name_of(body)
        path = self.path_of(name)
        with self._locked(fcntl.LOCK_SH):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A file of another length is one the disk damaged: it is written anew.
            if path.exists() and path.stat().st_size == len(body):
                os.utime(path)  # Wanted again, so it is not old, whatever no longer names it.
            else:
                self._write(path, body)
            # Also for a file that was there: another thread may have renamed it a moment ago and not synced yet.
            self._sync_folder(path.parent)
            self._sync_folder(self._folder)
        return name

    def read(self, name: str) -> bytes:
        """The bytes of `name`.

        Raises `Refusal` (`NOT_FOUND`) where there is no such file, (`INTERNAL`) where the disk damaged it.
        """
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of `name`, `READ_BYTES` at a time; the last piece comes once all of them have its hash.

        Raises as `read` does: instead of the first piece where there is no such file, instead of the last where it is
        damaged, so that nobody gets a wrong file whole.
        """
        try:
            file = self.path_of(name).open("rb")
        except FileNotFoundError as exc:
            raise _missing(name) from exc
        with file:
            found, piece = hashlib.sha256(), b""
            while following := file.read(READ_BYTES):
                if piece:
                    yield piece
                found.update(following)
                piece = following
        if found.hexdigest() != name:
            raise Refusal(Code.INTERNAL, "its bytes no longer have its hash: the disk damaged it", ref=name)
        if piece:
            yield piece

    def size(self, name: str) -> int:
        """How many bytes `name` has. Raises `Refusal` (`NOT_FOUND`)."""
        try:
            return self.path_of(name).stat().st_size
        except FileNotFoundError as exc:
            raise _missing(name) from exc

    # Retention

    def look(self, after: str, before_ms: int, files_max: int) -> tuple[set[str], str]:
        """Looks at up to `files_max` files in the order of their names, from the one after `after` on. Returns those
        that were last kept before `before_ms`, and the last name looked at: empty where there are no more."""
        seen = list(islice(self._names_after(after), files_max))
        old = {name for name in seen if (kept := self._kept_ms(name)) is not None and kept < before_ms}
        return old, seen[-1] if len(seen) == files_max else ""

    def remove(self, names: set[str], before_ms: int) -> int:
        """Removes those that were last kept before `before_ms`, also now. Returns how many went.

        While somebody keeps a file none can be removed, and the rest stays for the next time.
        """
        removed = 0
        for name in sorted(names):
            try:
                with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                    kept = self._kept_ms(name)
                    if kept is not None and kept < before_ms:
                        self.path_of(name).unlink()
                        removed += 1
            except BlockingIOError:
                break
        return removed

    def _names_after(self, after: str) -> Iterator[str]:
        folders = sorted(path.name for path in self._folder.glob("[0-9a-f][0-9a-f]") if path.name >= after[:2])
        for folder in folders:
            names = sorted(folder + path.name for path in (self._folder / folder).iterdir())
            yield from (name for name in names if name > after and _HASH.fullmatch(name))

    def _kept_ms(self, name: str) -> int | None:
        """When it was last kept; None where it is gone."""
        try:
            return self.path_of(name).stat().st_mtime_ns // 1_000_000
        except FileNotFoundError:
            return None

    def path_of(self, name: str) -> Path:
        """Where the file lies or would lie. Raises `Refusal` (`INVALID`) for what is no hash, so that no name leads
        out of the folder."""
        if not _HASH.fullmatch(name):
            raise Refusal(Code.INVALID, "an attachment is named by 64 digits of lower-case hex", field="sha256")
        return self._folder / name[:2] / name[2:]

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Holds the folder's lock, across threads and processes: each opening of the file has a lock of its own."""
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _write(self, path: Path, body: bytes) -> None:
        descriptor, part = tempfile.mkstemp(dir=self._folder / _PARTS)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                self._sync(file.fileno())
            # Renaming within one file system is atomic: a reader sees the whole file or none.
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)


def _missing(name: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, "there is no attachment of this hash", ref=name)
