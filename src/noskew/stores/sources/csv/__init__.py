"""CSV files as a batch source, in the form in which programs write them."""

from __future__ import annotations

from noskew.stores.sources.csv.source import CsvSource

__all__ = ["CsvSource"]
