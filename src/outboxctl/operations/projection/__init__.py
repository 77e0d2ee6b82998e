"""Projections by their file: read, resolved against the database, planned, applied, looked at and dropped."""
