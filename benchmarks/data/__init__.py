"""Loaders: one file for each data set, all of them a `benchmarks.data.samples.Dataset`."""
