"""While the fault proxy refuses, nobody else can take its port: not even one who was told that it is free."""

import socket

import pytest

from outboxctl.chaos.proxy import Proxy, faults

pytestmark = pytest.mark.no_servers


def test_the_port_stays_its_own() -> None:
    with Proxy("http://127.0.0.1:1") as proxy:
        port = int(proxy.url.rpartition(":")[2])
        with proxy.fault(faults.refuse()), socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
        socket.create_connection(("127.0.0.1", port), 5).close()
