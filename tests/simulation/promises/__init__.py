"""The promises (DESIGN §5), one module each: what is checked when a run is over.

What must be seen while a run goes on is checked there: `witness.py` (nothing before its commit), `fences.py` (one
writer), `agents.py` (each agent's stream), `bounded.watch`.
"""
