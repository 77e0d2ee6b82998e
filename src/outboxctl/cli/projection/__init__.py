"""`projection`: documents from your own tables."""
