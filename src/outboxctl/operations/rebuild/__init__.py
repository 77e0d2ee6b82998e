"""`rebuild`: fills a new index behind the alias while workers deliver, and swaps."""
