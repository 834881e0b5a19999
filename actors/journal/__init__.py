"""The journal: the truth. One writer, one append and one sync for many units.

journal           fences, once-keys, identities; journal_store: what it asks of a store
  tail            what of a journey the archive does not have yet
  notices         what every cell has to hear
  stretch         how long it gathers
"""
