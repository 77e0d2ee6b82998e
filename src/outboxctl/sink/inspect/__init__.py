"""Facts about a sink and the index in it, for `doctor`: read-only requests, each a small one."""
