"""Telling systemd where we are: its notify protocol is one datagram of lines (sd_notify(3)).

Ten lines of our own, because the manual page asks for no more: the wheels on PyPI that do the same are
bindings to a C library or were last released years ago.
"""

import os
import socket
from contextlib import suppress


def notify(*states: str) -> None:
    """Send e.g. `READY=1`, `WATCHDOG=1` or `STATUS=…` (one line); nothing where systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A leading @ names an abstract socket. A supervisor that is gone is no reason to stop working.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own:
        own.sendto("\n".join(states).encode(), f"\0{address[1:]}" if address.startswith("@") else address)
