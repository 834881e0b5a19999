"""Stores: journal and archive, on SQLite and in memory; one conformance suite holds them to the same behaviour.

The journal
  journal_rules          which units of a group are committed; merged_rules: who is a member of whom
  journal_schema         journal_reads, journal_file: what is read of the file, and what its one writer does to it
  sqlite_journal         sqlite_journal_reader: for other processes
  memory_journal         memory_disk: what a power failure leaves
  forgotten              what stays of the addresses of who was erased

The archive
  archive_schema         archive_steps: how older files come to it
  archive_rows           changes become SQL
  archive_snapshots      archive_retention, archive_erasing, archive_traces: what goes
  archive_loads          what cells ask
  archive_queries        archive_timeline, archive_search, archive_quarantine, archive_findings: what people ask
  archive_losses         archive_measures: where context gets lost
  archive_sides          the writer's and the readers' side of all this
  sqlite_archive         memory_archive: what carries it out

Both                     connection, read_pool, locks, migrations, folder, errors
"""
