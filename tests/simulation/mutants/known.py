"""Which seed caught each mutant, and by which promise: tried first, so that the test is fast. Still run each time.

`python -m tests.simulation.mutants --write` finds them anew."""

KNOWN: dict[str, int] = {}
