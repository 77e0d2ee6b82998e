"""Examining both ends and the space between: what is wrong, why it matters, what mends it."""
