"""PostgreSQL's SQL."""
