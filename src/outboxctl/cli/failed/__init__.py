"""`failed`: list, show and discard failed events; their selection is shared with `replay`."""
