"""Dialects whose meaning was compared with their own engine: from a typed tree to DuckDB's SQL."""
