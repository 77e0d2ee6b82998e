"""The demo: the whole story with real documents, real servers and a real worker process."""
