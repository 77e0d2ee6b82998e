"""`verify`: compares the index with the source rows, entity by entity; repairs by ordinary events."""
