"""Getting the data sets and weights: declared sources, resumable downloads, safe unpacking, manifests, checks."""
