"""The server's process life: which actor lives in which process, how Ray starts, who restarts whom, how it all ends.

    supervisor   the process the operator started: locks the data folder, starts the node, restarts it, takes signals
    └── node     Ray's driver: starts Ray, creates an actor for each process of the table, runs each again when it died
        └── host one process of the table, a Ray actor: builds its part, serves until it breaks

    the supervisor's side   data_folder, run_folder, node_process, server_file, leftovers
    between the two         said
    the node's side         keeper, lives, starts, hanging; hosts: its lines to the processes
    between the two         asked, figures, states
    a process's side        node_line, part, logs
    what all go by          table
    Ray itself              ray_environment, ray_profile

This package is the only home of `import ray` (`ray_profile.py`, `lives.py`); everything that Ray runs is a plain class.
The supervisor never imports it: whatever Ray does to its own processes, someone untouched by it is left to clean up.
`plain_structlog.py` comes before all others of it: it has to be the first that loads that library.
"""

from orchestrator.cluster import plain_structlog as plain_structlog
