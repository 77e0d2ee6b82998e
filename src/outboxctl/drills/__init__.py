"""Faults, labs, load, benchmarks, the demo, local services. Imports operations, worker and below."""
