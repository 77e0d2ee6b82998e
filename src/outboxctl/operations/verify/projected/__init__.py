"""`verify` for a declared projection: its documents are compared by content, page by page."""
