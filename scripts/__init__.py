"""Programs that fetch data and make what the package carries."""
