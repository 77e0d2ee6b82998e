"""Faults, labs, load, the demo, local services. Imports operations, worker and below."""
