"""Sources of documents: search_index, and the views of declared projections; read in order, or by key."""
