"""Figures of the outbox: counts, ages, rates, workers."""
