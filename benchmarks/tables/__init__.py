"""Tables from finished runs: `falip tables`."""
