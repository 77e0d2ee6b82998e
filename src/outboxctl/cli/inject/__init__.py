"""`inject`: rows and events for experiments."""
