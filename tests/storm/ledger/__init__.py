"""A ledger whose declaration, views, columns and partitions change all the time while it is written to."""
