"""Figures of papers as data, and how ours stand beside them."""
