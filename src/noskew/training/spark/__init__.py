"""Training sets, materialize and ingest on Spark: what the driver plans, and what tasks do.

Tasks run the code of the in-process runner on a part of the work. They open the project's stores
themselves; no row goes through the driver.
"""
