"""One HTTP request to the sink: connection, TLS, credentials, deadline, and what became of it."""
