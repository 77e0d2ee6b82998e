"""`bench`: measure the user's own servers."""
