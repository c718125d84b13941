"""How fast the ways of encoding many regions are, and what each costs in memory and exactness."""
