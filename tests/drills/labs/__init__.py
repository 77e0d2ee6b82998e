"""The labs: that each can be OK, INCONCLUSIVE and FAIL."""
