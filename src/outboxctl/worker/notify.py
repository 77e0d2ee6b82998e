"""Notifying systemd of the state of the service: one datagram of lines (sd_notify(3)).

Ten lines of our own, since the protocol needs no more: the wheels on PyPI that do the same are bindings
to a C library or were last released years ago.
"""

import os
import socket
from contextlib import suppress


def notify(*states: str) -> None:
    """Send e.g. `READY=1`, `WATCHDOG=1` or `STATUS=…` (one line); does nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A leading @ names an abstract socket. An error is ignored: the work does not depend on it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own:
        own.sendto("\n".join(states).encode(), f"\0{address[1:]}" if address.startswith("@") else address)
