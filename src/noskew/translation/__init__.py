"""Translation: from SQL dialects and the PySpark API to the SQL of DuckDB, which is what runs."""
