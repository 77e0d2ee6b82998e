"""`worker`: run the worker process."""
