"""Stores: on SQLite and in memory; one conformance suite each holds both to the same behaviour.

journal       the truth, appended
archive       its projection, queried

Both on       connection, read_pool, locks, migrations, folder, errors
"""
