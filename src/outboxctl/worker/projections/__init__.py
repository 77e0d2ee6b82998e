"""Documents of declared projections: read, and found behind changes of other tables."""
