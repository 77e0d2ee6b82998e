"""Faults on purpose, each of which can be undone."""
