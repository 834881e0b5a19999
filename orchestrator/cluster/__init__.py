"""The server's process life: which actor lives in which process, how Ray starts, who restarts whom, how it all ends.

    supervisor   the process the operator started: locks the data folder, starts the node, restarts it, takes signals
    └── node     Ray's driver: starts Ray, creates an actor for each process of the table, runs each again when it died
        └── host one process of the table, a Ray actor: builds its part, serves until it breaks

This package is the only home of `import ray` (`ray_profile.py`, `node.py`); everything that Ray runs is a plain class.
The supervisor never imports it: whatever Ray does to its own processes, someone untouched by it is left to clean up.
"""

import sys
from importlib import import_module

if "rich" not in sys.modules:
    # A server's logs are JSON, but structlog brings what draws tracebacks for developers wherever that can be imported:
    # 47 of 63 ms, and 5 MiB, in each process. Here it cannot for a moment; who wants it for itself gets it later on.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]
