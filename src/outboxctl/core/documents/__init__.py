"""Source rows as documents: by page, by key range, by recent events, at random."""
