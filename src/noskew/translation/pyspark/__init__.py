"""The PySpark API, called without Spark to find out what a function describes."""
