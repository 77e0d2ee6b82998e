"""Does the index say what the database says? Compared by entity, and healed by ordinary events."""
