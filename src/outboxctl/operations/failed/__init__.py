"""`failed`, `replay`, `discard`: an event beside its document; moves of events in paced, audited batches."""
