"""What is measured unless more is asked for; known without torch."""

RANDOM, LARGE = "vit-b16-random", "vit-l14-336-random"
"""Models of released shapes with random weights."""
# Images that are measured of a load, and embedded scenes for the data side; other models than ViT-B/16 are small.
PART, SMALL_PART = {RANDOM: 4}, 64
