"""LMDB files: what the embedded online store and the state of streams share of them."""
