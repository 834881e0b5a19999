"""What can go wrong with a store.

    ThroughlineError
    └── StoreError
        ├── StoreLocked      another process has the file: stop that one, or use another data folder
        ├── StoreTooNew      a newer version wrote the file: upgrade, or use another data folder
        ├── StoreTrimmed     retention has shortened the journal: what is asked would lose what only the archive has
        ├── ReadCutOff       a read took longer than whoever asked for it may hold a connection
        ├── ReadsWait        a read did not get its turn in time: others, of the same asker or not, are before it
        └── StoreFailed      the disk, the file system or SQLite failed: whether the last write took place is open

After `StoreFailed` a writing store answers nothing but `StoreFailed`: its process ends, and what comes next reads the
file anew. That is what makes an ambiguous failure safe (see `journal/rules.py` for how a resend is answered).
"""

import sqlite3

from protocol.errors import ThroughlineError


class StoreError(ThroughlineError):
    """Base of every store's error. Messages name files, tables and reasons, never customers' words."""


class StoreLocked(StoreError):
    """Another process writes this file. `pid` is its process id, 0 where the lock file does not say."""

    def __init__(self, message: str, *, pid: int) -> None:
        super().__init__(message)
        self.pid = pid


class StoreTooNew(StoreError):
    """The file has a schema of a newer version than this program knows."""


class StoreTrimmed(StoreError):
    """The journal was trimmed, so its archive cannot be made anew, and what could make that necessary is refused."""


class ReadCutOff(StoreError):
    """A read took longer than `within_s`, and was ended. The store is as good as before."""

    def __init__(self, message: str, *, within_s: float | None = None) -> None:
        super().__init__(message)
        self.within_s = within_s


class ReadsWait(StoreError):
    """A read did not get its turn in time. Nothing was read for it."""


class StoreFailed(StoreError):
    """Reading or writing failed. A commit that raised this may or may not have taken place."""


# What SQLite's own words leave open, by the primary result code (https://www.sqlite.org/rescode.html).
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program has it locked, perhaps a shell: end that, and a server that runs goes on",
    sqlite3.SQLITE_FULL: "make room on its disk, and a server that runs goes on",
    sqlite3.SQLITE_IOERR: "the disk failed: the system's log says why",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: put a backup in its place",
    sqlite3.SQLITE_NOTADB: "the file is damaged: put a backup in its place",
}


def store_failed(name: str, exc: sqlite3.Error) -> StoreFailed:
    """What SQLite said of the file `name`, and what an operator can do."""
    advice = _ADVICE.get(getattr(exc, "sqlite_errorcode", 0) & 0xFF, "")
    return StoreFailed(f"{name}: {exc}" + (f"; {advice}" if advice else ""))
