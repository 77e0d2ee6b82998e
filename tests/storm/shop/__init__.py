"""A shop beside it all: rows of several tables become documents of a declared projection."""
