"""The archive: the projection of the journal into rows, and what is read of it.

archive               follows the journal by position; archive_store: what it asks of a store
  projection          facts into changes of rows
    contents          which rows hold what an event says; timers: what is due when
    rows              the forms; conversation_rows, context_rows, correction_rows, delivery_rows, finding_rows,
                      handoff_rows, identity_rows, quarantine_rows: by subject
  retention           what goes, and when
"""
