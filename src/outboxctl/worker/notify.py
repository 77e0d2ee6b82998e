"""Telling systemd where we are: its notify protocol is one datagram of text (sd_notify(3))."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send e.g. `READY=1`, `STOPPING=1` or `WATCHDOG=1`; nothing where systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A leading @ names an abstract socket. A supervisor that is gone is no reason to stop working.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own:
        own.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
