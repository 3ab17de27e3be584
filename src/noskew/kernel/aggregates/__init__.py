"""Aggregates: for each, how events become states, how states merge, and what a state says."""
