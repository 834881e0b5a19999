"""How long to wait before coming again: exponential back-off with full jitter.

Full jitter, a uniform draw from nothing to the bound, spreads a thousand clients of a restarted server best; see M.
Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

FIRST_MS = 200
LIMIT_MS = 10_000
"""A client is back at most ten seconds after the server is; longer saves the server nothing that jitter does not."""
_DOUBLINGS_MAX = 16


def backoff_ms(attempt: int, *, random: float, first_ms: int = FIRST_MS, limit_ms: int = LIMIT_MS) -> int:
    """Returns the wait before attempt number `attempt` (0 is the first repeat). `random` is a draw from [0, 1)."""
    bound = min(limit_ms, first_ms << min(attempt, _DOUBLINGS_MAX))
    return int(random * bound)
