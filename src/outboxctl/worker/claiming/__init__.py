"""Claims: when, how many events, and what this worker holds."""
