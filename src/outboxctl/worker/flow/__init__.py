"""Whether anything may be sent, where to, and how much at a time."""
