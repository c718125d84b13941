"""A page to look at runs: `falip report`."""
