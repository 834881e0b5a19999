"""How long to wait before coming again: exponential back-off with full jitter.

Full jitter, a uniform draw from nothing to the bound, spreads a thousand clients of a restarted server best; see M.
Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

FIRST_MS = 200
LIMIT_MS = 3_000
"""A client is back at most three seconds after the server is, and has two more of the five within which an agent's view
is to be whole again; longer saves the server nothing that jitter does not: 10,000 clients are 7,000 dials a second."""
_DOUBLINGS_MAX = 16


def backoff_ms(attempt: int, *, random: float, first_ms: int = FIRST_MS, limit_ms: int = LIMIT_MS) -> int:
    """Returns the wait before attempt number `attempt` (0 is the first repeat). `random` is a draw from [0, 1)."""
    bound = min(limit_ms, first_ms << min(attempt, _DOUBLINGS_MAX))
    return int(random * bound)
