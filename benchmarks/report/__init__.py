"""A page to look at runs: `python -m benchmarks.report`."""
