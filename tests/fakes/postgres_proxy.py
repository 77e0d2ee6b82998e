"""A proxy in front of PostgreSQL: it sees each statement, and can hold it, lose it or its answer."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

from fakes.postgres_wire import READY, Message, messages, startup


class Do(Enum):
    """What becomes of a statement, or of its answer once the server has executed it."""

    HOLD_STATEMENT = auto()
    HOLD_ANSWER = auto()
    DROP_STATEMENT = auto()  # the connection breaks before the server sees it
    DROP_ANSWER = auto()  # the connection breaks after the server executed it
    GO_DARK = auto()  # nothing breaks, but nothing passes any more, in either direction


@dataclass
class Rule:
    """What to do, `times` times, with statements that hold `sql` in a transaction that held `within`."""

    sql: str
    do: Do
    within: str = ""
    times: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def fits(self, sql: str, transaction: str) -> bool:
        """Whether this statement is meant."""
        return self.times > 0 and self.sql in sql and self.within in transaction


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
        self._listener = self._listen(0)
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

    def rule_for(self, sql: str, transaction: str) -> Rule | None:
        """The first rule that fits, counted as used."""
        with self._lock:
            rule = next((rule for rule in self._rules if rule.fits(sql, transaction)), None)
            if rule:
                rule.times -= 1
            return rule

    def connect(self) -> socket.socket:
        """A connection to the server itself."""
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
            self._links.append(Link(self, client))


class Link:
    """One client's connection, with a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, proxy.connect()
        for half in (self._client, self._server):
            half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a statement
        self.dark = proxy.dark
        self._transaction = ""
        self._awaited: Rule | None = None  # takes effect once the server has answered
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._pump, args=[pump], daemon=True).start()

    def close(self) -> None:
        """End both halves, and with them both threads."""
        for half in (self._client, self._server):
            with suppress(OSError):
                half.shutdown(socket.SHUT_RDWR)

    def _pump(self, pump: Callable[[], None]) -> None:
        with suppress(OSError):
            pump()
        if not self.dark:
            self.close()

    def _requests(self) -> None:
        stream = self._client.makefile("rb")
        self._pass_on(self._server, startup(stream, self._client))
        for message in messages(stream):
            if sql := " ".join(message.sql.split()):
                self._consider(sql)
            self._pass_on(self._server, message.raw)

    def _consider(self, sql: str) -> None:
        self._transaction = sql if sql.startswith("BEGIN") else f"{self._transaction};{sql}"
        rule = self._proxy.rule_for(sql, self._transaction)
        if rule and rule.do in (Do.HOLD_ANSWER, Do.DROP_ANSWER):
            self._awaited = rule
        elif rule:
            self._act(rule)

    def _answers(self) -> None:
        unsent: list[Message] = []
        for message in messages(self._server.makefile("rb")):
            unsent.append(message)
            if self._awaited and message.kind == READY:
                rule, self._awaited = self._awaited, None
                self._act(rule)
            if not self._awaited:
                self._pass_on(self._client, b"".join(one.raw for one in unsent))
                unsent.clear()

    def _pass_on(self, to: socket.socket, raw: bytes) -> None:
        if not self.dark:
            to.sendall(raw)

    def _act(self, rule: Rule) -> None:
        if rule.do in (Do.DROP_STATEMENT, Do.DROP_ANSWER):
            self.close()
        self.dark = self.dark or rule.do is Do.GO_DARK
        rule.reached.set()
        if rule.do in (Do.HOLD_STATEMENT, Do.HOLD_ANSWER):
            rule.released.wait()


@contextmanager
def postgres_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy on a free port, ended with all its connections."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
