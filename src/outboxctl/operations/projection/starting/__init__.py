"""A starting declaration, its SELECT and its mapping, for tables that are there already."""
