"""Relation: what a batch source held at its last ingest, and what has come since."""
