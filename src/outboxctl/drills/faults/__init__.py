"""Faults on purpose: what breaks, for how long, and how it is undone."""
