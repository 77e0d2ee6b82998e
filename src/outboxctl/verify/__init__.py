"""Comparing the source of truth with the index, and enqueueing the difference."""
