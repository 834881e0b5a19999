"""The server's process life: which actor lives in which process, how Ray starts, who restarts whom, how it all ends.

    supervisor   the process the operator started: locks the data folder, starts the node, restarts it, takes signals
    └── node     Ray's driver: starts Ray, creates an actor for each process of the table, runs each again when it died
        └── host one process of the table, a Ray actor: builds its part, serves until it breaks

This package is the only home of `import ray` (`ray_profile.py`, `node.py`); everything that Ray runs is a plain class.
The supervisor never imports it: whatever Ray does to its own processes, someone untouched by it is left to clean up.
`plain_structlog.py` comes before all others of it: it has to be the first that loads that library.
"""

from orchestrator.cluster import plain_structlog as plain_structlog
