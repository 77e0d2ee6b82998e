"""The demo: the pipeline with real documents, real servers and a real worker process."""
