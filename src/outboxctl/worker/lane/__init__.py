"""A lane: a batch from its claim to the sink and back."""
