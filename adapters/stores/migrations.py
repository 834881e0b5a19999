"""Schema versions: a file's `user_version` counts the steps that made it; opening it for writing runs the missing ones.

A step is never changed once released, only followed by another. `application_id` tells our files from others' and the
journal from the archive.
"""

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from adapters.stores.connection import transaction
from adapters.stores.errors import StoreFailed, StoreTooNew


class Schema(Struct, frozen=True):
    """A file's schema: what it is called in messages, its `application_id`, and its steps.

    Each step is a list of statements; step n brings the file from version n to n + 1.
    """

    name: str
    application_id: int
    steps: Sequence[Sequence[str]]


def migrate(db: sqlite3.Connection, schema: Schema) -> None:
    """Brings the file to the newest version, each step in its own transaction.

    Raises `StoreTooNew` before anything is written, and `StoreFailed` where the file is something else.
    """
    version = known_version(db, schema)
    for number, statements in enumerate(schema.steps[version:], start=version + 1):
        with transaction(db):
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {schema.application_id}")
            db.execute(f"PRAGMA user_version = {number}")


def check(db: sqlite3.Connection, schema: Schema) -> None:
    """For readers, which cannot migrate: raises `StoreTooNew`, or `StoreFailed` where the file is older."""
    version = known_version(db, schema)
    if version < len(schema.steps):
        raise StoreFailed(
            f"the {schema.name} has schema version {version} and this program reads {len(schema.steps)}: start the "
            "server once, it migrates the file"
        )


def known_version(db: sqlite3.Connection, schema: Schema) -> int:
    """The file's version, which may be older than the newest. Raises as `migrate` does, and writes nothing."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application_id = int(db.execute("PRAGMA application_id").fetchone()[0])
    if application_id not in (0, schema.application_id):
        raise StoreFailed(f"this file is not a {schema.name}: its application_id is {application_id:#x}")
    if application_id == 0 and db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise StoreFailed(f"this file is not a {schema.name}: it has tables of something else")
    if version > len(schema.steps):
        raise StoreTooNew(
            f"the {schema.name} has schema version {version}, written by a newer Throughline; this one knows "
            f"{len(schema.steps)}: upgrade it, or start with another data folder"
        )
    return version
