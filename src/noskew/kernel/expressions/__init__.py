"""Expressions of on-demand functions, computed over columns; see :mod:`.program`."""
