"""`bench`: rates of the sink, the database and the worker. Imports scratch, faults, load and services."""
