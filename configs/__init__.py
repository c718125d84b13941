"""Hydra configurations: the only registry there is."""
