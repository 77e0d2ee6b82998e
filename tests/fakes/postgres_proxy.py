"""A proxy in front of PostgreSQL: it sees each statement, and can hold it, lose it or its answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from fakes.postgres_link import Do, Link, Rule, Transaction
from outboxctl.drills.services import fresh_port

__all__ = ["Do", "Proxy", "Rule", "postgres_proxy"]


class Proxy:
    """Passes everything on but what a rule, `go_dark` or `refuse` says; `heal` ends the latter two.

    A connection that went dark stays so, as behind a firewall that forgot it: its client gets no
    answer and the server does not learn that the client is gone.
    """

    def __init__(self, upstream: str) -> None:
        self._parts = urlsplit(upstream)
        self.dark = False
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._listener = self._listen(fresh_port())  # which no connection is given while it refuses
        self.port = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The upstream's URL, through this proxy."""
        user = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    @property
    def accepted(self) -> int:
        """How many connections there have been."""
        return len(self._links)

    def transactions(self, sql: str) -> list[Transaction]:
        """All transactions so far that held this, oldest first on each connection."""
        with self._lock:
            return [each for link in self._links for each in link.transactions if sql in each.sql]

    def on(self, sql: str, do: Do, *, within: str = "", times: int = 1) -> Rule:
        """Add a rule."""
        rule = Rule(sql, do, within, times)
        self._rules.append(rule)
        return rule

    def go_dark(self) -> None:
        """Swallow everything, on the connections there are and on new ones."""
        with self._lock:
            self.dark = True
            for link in self._links:
                link.dark = True

    def darken(self, sql: str) -> None:
        """Swallow everything on the connections whose transaction so far held this."""
        with self._lock:
            for link in self._links:
                link.dark = link.dark or sql in link.transaction

    def cut(self) -> None:
        """Break all connections: what is held goes nowhere any more."""
        with self._lock:
            for link in self._links:
                link.close()

    def refuse(self) -> None:
        """Break all connections and refuse new ones."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
        self._listener.close()
        self.cut()

    def heal(self) -> None:
        """Let new connections through (again)."""
        self.dark = False
        if self._listener.fileno() < 0:
            self._listener = self._listen(self.port)

    def close(self) -> None:
        """End every connection and every wait."""
        self.heal()
        self.refuse()
        for rule in self._rules:
            rule.released.set()

    def _choose(self, sql: str, transaction: str) -> Rule | None:
        with self._lock:
            rule = next((rule for rule in self._rules if rule.fits(sql, transaction)), None)
            if rule:
                rule.times -= 1
            return rule

    def _connect(self) -> socket.socket:
        return socket.create_connection((self._parts.hostname or "", self._parts.port or 5432))

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # refuse() closed it
            while True:
                self._serve(listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), self._lock:  # where there is no server, its client is turned away
            self._links.append(Link(client, self._connect(), self._choose, dark=self.dark))


@contextmanager
def postgres_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy on a free port, ended with all its connections."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
