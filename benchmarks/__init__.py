"""How fast the pipeline is, beside what its two ends can do on the same servers: `python -m benchmarks`."""
