"""A request as it arrived, an answer, and how it is sent: complete, cut, byte by byte, or not at all."""

import gzip
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http.client import responses
from io import BytesIO
from typing import Any

JSON = "application/json"
PRODUCT = "X-Elastic-Product"
POLL = 0.1  # seconds between two checks that a client without an answer is still connected
Refusal = tuple[int, Any]  # status and error of an item


class Ending(StrEnum):
    """The end of a connection. TRUNCATE promises more bytes than it sends."""

    ANSWER = "answer"
    DROP = "drop"
    RESET = "reset"
    TRUNCATE = "truncate"
    DRIP = "drip"
    SILENCE = "silence"


@dataclass(frozen=True)
class ProxyReply:
    """An answer; a header whose value is None is left out. By default it looks like Elasticsearch's."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def written(self, *, missing: int = 0) -> bytes:
        """Return its bytes; `missing` are promised in Content-Length and not sent."""
        standard = {PRODUCT: "Elasticsearch", "Content-Type": JSON}
        headers = {name.lower(): value for name, value in [*standard.items(), *self.headers.items()]}
        headers["content-length"] = str(len(self.body) + missing)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        head = f"HTTP/1.1 {self.status} {responses.get(self.status, '')}\r\n{''.join(lines)}\r\n"
        return head.encode("latin-1", "replace") + self.body


@dataclass(frozen=True)
class BulkOperation:
    """One action of a bulk request, with its bytes; `document` is None for a delete."""

    verb: str
    meta: Mapping[str, Any]
    document: bytes | None
    raw: bytes

    @property
    def id(self) -> str:
        """Return the id of its document; empty if the sink is to choose one."""
        return str(self.meta.get("_id", ""))

    def refused(self, status: int, error: Any) -> dict[str, Any]:
        """Return its item in the answer if it was not applied."""
        return {self.verb: {"_id": self.id, "status": status, "error": error}}


@dataclass(frozen=True)
class ProxyRequest:
    """One request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> list[str]:
        """The segments of its path."""
        return self.target.partition("?")[0].strip("/").split("/")

    @property
    def is_bulk(self) -> bool:
        """Whether it is a bulk request."""
        return self.path[-1] == "_bulk"

    def actions(self) -> list[BulkOperation]:
        """Return the operations of a bulk request; none if the body cannot be parsed: the sink refuses it."""
        packed = self.headers.get("content-encoding", "").lower() == "gzip"
        try:
            return parse_bulk(gzip.decompress(self.body) if packed else self.body)
        except (ValueError, OSError, EOFError):
            return []

    def keeping(self, actions: list[BulkOperation]) -> "ProxyRequest":
        """The same bulk request with these actions alone."""
        headers = {name: value for name, value in self.headers.items() if name != "content-encoding"}
        return replace(self, headers=headers, body=b"".join(action.raw for action in actions))


Backend = Callable[[ProxyRequest], ProxyReply]  # applies a request, and answers it truthfully


def parse_bulk(body: bytes) -> list[BulkOperation]:
    """Parse a bulk request's body; ValueError where it is none."""
    lines = BytesIO(body)  # splits at \n only, as the engine does
    return [_operation(line, lines) for line in lines]


def _operation(line: bytes, lines: Iterator[bytes]) -> BulkOperation:
    try:
        ((verb, meta),) = json.loads(line).items()
        document = None if verb == "delete" else next(lines, b"")
        return BulkOperation(verb, {**meta}, document and document.rstrip(b"\n"), line + (document or b""))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"no line of a bulk request: {error}") from None


def apply_without(
    request: ProxyRequest, refusal: Callable[[str], Refusal | None], backend: Backend
) -> tuple[ProxyReply, int]:
    """Pass on the items not refused, put the others into the answer if it has items; and their count."""
    actions = request.actions()
    kept = [action for action in actions if not refusal(action.id)]
    if len(kept) == len(actions):
        return backend(request), 0
    truth = backend(request.keeping(kept)) if kept else ProxyReply(200, b'{"items":[]}')
    try:
        applied = iter(json.loads(truth.body)["items"])
    except (ValueError, LookupError, TypeError):
        return truth, 0
    items = [
        action.refused(*refused) if (refused := refusal(action.id)) else next(applied) for action in actions
    ]
    body = json.dumps({"errors": True, "items": items}).encode()
    return replace(truth, body=body), len(actions) - len(kept)


def send(
    connection: socket.socket, reply: ProxyReply, ending: Ending, *, pace: float, until: threading.Event
) -> bool:
    """Send an answer as `ending` says; True if the connection may be used again.

    A drip sends a byte every `pace` seconds, or all the rest once `until` is set; a silence lasts until
    then, or until the client leaves.
    """
    match ending:
        case Ending.RESET:
            reset(connection)
        case Ending.TRUNCATE:
            connection.sendall(reply.written(missing=10))
        case Ending.DRIP:
            _drip(connection, reply.written(), pace, until)
        case Ending.SILENCE:
            while not until.wait(POLL) and not _left(connection):
                pass
        case Ending.ANSWER:
            connection.sendall(reply.written())
    return ending in {Ending.ANSWER, Ending.DRIP}


def reset(connection: socket.socket) -> None:
    """End a connection with an RST: its peer sees "connection reset", not an end of the stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # a close() would wait for the handler's files on this socket


def _drip(connection: socket.socket, answer: bytes, pace: float, until: threading.Event) -> None:
    for place in range(len(answer)):
        connection.sendall(answer[place : place + 1])
        if until.wait(pace):
            connection.sendall(answer[place + 1 :])
            break


def _left(connection: socket.socket) -> bool:
    """Whether the client has ended the connection."""
    with suppress(BlockingIOError):
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return False
