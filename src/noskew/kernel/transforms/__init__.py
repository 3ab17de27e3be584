"""Transforms: from the rows of a source to events, by the same code in every path."""
