"""`chaos`: faults on purpose, each undone by itself."""

from outboxctl.cli.chaos.app import app

__all__ = ["app"]
