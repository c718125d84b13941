"""Figures as in a paper, one command each: `falip figures attention`."""
