"""What a view's own text says: how each table that it reads is joined with the root. Needs sqlglot."""
