"""Schemas in the style of public ones: whatever is written to them, an index holds the rows of its view."""
