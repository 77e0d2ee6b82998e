"""What a worker does as a process: messages to systemd, its addresses, the garbage collector."""

import gc
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


def addresses(host: str, port: int) -> dict[str, str]:
    """The URLs of the worker that open on this machine; an address for all interfaces becomes 127.0.0.1."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    host = f"[{host}]" if ":" in host else host
    return {name: f"http://{host}:{port}/{name}" for name in ("metrics", "healthz", "readyz")}


def tune_collector() -> None:
    """Keep the garbage collector from examining all loaded modules again for every batch.

    A batch makes thousands of short-lived objects and no cycles; with the default thresholds their
    number alone starts full collections, a third of the CPU an event.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()
