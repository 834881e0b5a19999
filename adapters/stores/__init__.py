"""Stores: journal and archive, on SQLite and in memory; one conformance suite holds them to the same behaviour."""
