"""Benchmarks: noskew beside the bare libraries, on the same data in the same run.

``python -m bench`` runs what fits in ten minutes, prints a table and keeps it among the last whole
runs (:mod:`bench.record`). Each figure stands beside its *limit*: the bare library doing the
least possible work. Both sides take turns, five times or more, and medians are compared, so
that a noisy neighbour meets both.
"""
