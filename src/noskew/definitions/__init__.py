"""Definitions: what features are, as frozen values that are checked when they are made."""
