"""structlog without what draws tracebacks for developers: a server's logs are JSON.

It brings that along wherever it can be imported: 47 of 63 ms, and 5 MiB, in each process that draws nothing. Here it
cannot for a moment; whoever wants it for itself, as the channel host's HTTP client does, gets it later on.
"""

import sys
from importlib import import_module

if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # As Python says that it is not to be found.
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]
