"""The process that is the sink, proved by its port."""

from contextlib import suppress

import psutil

from outboxctl.domain.errors import UsageError
from outboxctl.drills.faults.sink_controls.model import SinkControl


def listener(means: SinkControl, port: int) -> psutil.Process | None:
    """The process that listens there, proved to be the means' own; None where it cannot be known.

    UsageError where the process is known and neither it nor a descendant listens there.
    """
    pid = means.pid()
    if pid is None:
        return None
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            if _listens(each, port):
                return each
    raise UsageError(
        f"{means.name}: process {pid} does not listen on port {port}, where ELASTIC_URL is",
        hint="set ELASTIC_URL to what you want to stop, or run this as the server's user",
    )


def _listens(found: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found.net_connections())
    return False
