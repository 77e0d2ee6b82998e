"""`chaos`: faults on purpose, each undone by itself."""
