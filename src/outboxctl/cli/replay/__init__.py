"""`replay`: failed events back to pending, and `replay undo`."""
