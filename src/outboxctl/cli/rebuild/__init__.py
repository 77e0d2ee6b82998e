"""`rebuild`: a new index behind the alias."""
