"""Spark SQL, with ANSI mode off."""
