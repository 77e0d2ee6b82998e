"""What others do with the same rows on the same servers: `python -m benchmarks.peers`."""
