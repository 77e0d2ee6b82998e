"""How fast the pipeline is, compared with the database and the sink alone: `python -m benchmarks`."""
