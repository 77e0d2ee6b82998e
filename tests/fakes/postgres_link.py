"""One connection through the PostgreSQL proxy, and the rules that can befall its statements."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import BinaryIO, NamedTuple

ENCRYPTION = {80877103, 80877104}  # SSLRequest, GSSENCRequest
QUERY, PARSE, READY = b"Q", b"P", b"Z"
PREPARED = re.compile(r"PREPARE (\w+) \([^)]*\) AS ([^;]*)")
EXECUTED = re.compile(r"EXECUTE (\w+)")


class Message(NamedTuple):
    """One message as it was on the wire."""

    kind: bytes
    raw: bytes

    @property
    def sql(self) -> str:
        """The statement's text; empty where the message holds none."""
        if self.kind == QUERY:
            return self.raw[5:-1].decode()
        if self.kind == PARSE:
            return self.raw[5:].split(b"\0")[1].decode()  # its name comes first
        return ""


def startup(stream: BinaryIO, client: socket.socket) -> bytes:
    """The client's first message; encryption is declined, so that the rest can be read."""
    while True:
        head = stream.read(8)
        if int.from_bytes(head[4:]) not in ENCRYPTION:
            return head + stream.read(int.from_bytes(head[:4]) - 8) if head else b""
        client.sendall(b"N")


def messages(stream: BinaryIO) -> Iterator[Message]:
    """Every message until the other end closes."""
    while len(head := stream.read(5)) == 5:
        yield Message(head[:1], head + stream.read(int.from_bytes(head[1:]) - 4))


class Do(Enum):
    """What becomes of a statement, or of its answer once the server has executed it."""

    HOLD_STATEMENT = auto()
    HOLD_ANSWER = auto()
    DROP_STATEMENT = auto()  # the connection breaks before the server sees it
    DROP_ANSWER = auto()  # the connection breaks after the server executed it


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


Choose = Callable[[str, str], Rule | None]  # by a statement, and its transaction so far


@dataclass
class Transaction:
    """The statements of one transaction, and how often its client waited for the server."""

    sql: str = ""
    trips: int = 0


class Link:
    """One client's connection, with a thread for each direction."""

    def __init__(self, client: socket.socket, server: socket.socket, choose: Choose, *, dark: bool) -> None:
        self._client, self._server, self._choose, self.dark = client, server, choose, dark
        for half in (self._client, self._server):
            half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a statement
        self.transactions = [Transaction()]
        self._prepared: dict[str, str] = {}
        self._awaited: Rule | None = None  # takes effect once the server has answered
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._pump, args=[pump], daemon=True).start()

    @property
    def transaction(self) -> str:
        """The statements of the last transaction so far."""
        return self.transactions[-1].sql

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
                self._consider(self._spelled_out(sql))
            self._pass_on(self._server, message.raw)

    def _spelled_out(self, sql: str) -> str:
        """What the server executes: the text of a prepared statement in place of its name."""
        self._prepared |= dict(PREPARED.findall(sql))
        return EXECUTED.sub(lambda match: self._prepared.get(match[1], match[0]), sql)

    def _consider(self, sql: str) -> None:
        if sql.startswith("BEGIN"):
            self.transactions.append(Transaction(sql))
        else:
            self.transactions[-1].sql += f";{sql}"
        rule = self._choose(sql, self.transaction)
        if rule and rule.do in (Do.HOLD_ANSWER, Do.DROP_ANSWER):
            self._awaited = rule
        elif rule:
            self._act(rule)

    def _answers(self) -> None:
        unsent: list[Message] = []
        for message in messages(self._server.makefile("rb")):
            unsent.append(message)
            self.transactions[-1].trips += message.kind == READY
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
        rule.reached.set()  # before the client can see that it is closed
        if rule.do in (Do.DROP_STATEMENT, Do.DROP_ANSWER):
            self.close()
        if rule.do in (Do.HOLD_STATEMENT, Do.HOLD_ANSWER):
            rule.released.wait()
