"""Figures that are felt, as ratios of one run: `make bench`, or `python -m benchmarks`."""
