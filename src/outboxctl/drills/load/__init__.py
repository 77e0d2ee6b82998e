"""The load generator of the lab document: paced transactions of a source row and its event."""
