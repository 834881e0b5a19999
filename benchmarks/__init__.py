"""The load generator and its scenarios: `python -m benchmarks --help`."""
