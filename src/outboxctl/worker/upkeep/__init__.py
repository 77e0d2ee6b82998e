"""What a worker does besides delivering."""
