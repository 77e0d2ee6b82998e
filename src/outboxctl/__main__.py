"""`python -m outboxctl`."""

from outboxctl.cli import main

main()
