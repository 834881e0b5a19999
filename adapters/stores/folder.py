"""The data folder's stores, looked at before anything is started on them."""

from functools import partial
from pathlib import Path

from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.connection import look_at
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.migrations import known_version

JOURNAL_FILE, ARCHIVE_FILE = "journal.sqlite", "archive.sqlite"


def check_folder(data: Path) -> None:
    """Whether this program can work on what is there; an empty folder is fine. Writes nothing.

    Raises `StoreTooNew` for a newer version's file, `StoreFailed` for one that is none of ours or cannot be read.
    """
    for file, schema in ((JOURNAL_FILE, JOURNAL), (ARCHIVE_FILE, ARCHIVE)):
        path = data / file
        if path.exists():
            look_at(path, partial(known_version, schema=schema))
