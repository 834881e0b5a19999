"""The archive's store.

schema          steps: how older files come to it
rows            changes become SQL
snapshots       retention, emptying, erasing, traces: what goes
loads           what cells ask
queries         lists, timeline, search, quarantine, findings: what people ask
losses          measures: where context gets lost
pages           what one read gives at most
sides           the writer's and the readers' side of all this
sqlite          memory: what carries it out
"""
