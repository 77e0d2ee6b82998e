"""What becomes of each event of a batch, written and counted."""
