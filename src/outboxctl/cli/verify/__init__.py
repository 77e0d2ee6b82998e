"""`verify`: compare the index with the database, and repair it."""
