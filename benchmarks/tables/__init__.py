"""Tables from finished runs: `python -m benchmarks.tables`."""
