"""From scores to decisions, from decisions to metrics, statistics and their text: pure functions."""
