"""Figures as in a paper, one command each: `python -m benchmarks.figures attention`."""
