"""The way in: from an event that some entrance translated, or a command, to its customer's cell and back.

intake        the one entrance: checks (`event_checks`), asks, and answers (`answers`) after the commit
once_keys     what tells that it came before

attribution   whose an event is
  known_identities, lookups     memory knows its identities; else the store is asked for all that have gathered
  proposals                     nobody has them: a customer is proposed, until the journal has decided
  holding                       what turned out to be somebody else's waits until nobody can be overtaken

merging       commands in which two customers' cells take part
"""
