"""Certificates of a test's own, and doors in TLS before servers that speak none."""

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import cached_property
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
PER_HOP = {"host", "connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Papers:
    """Files of one authority: its own certificate, and those that it issues."""

    folder: Path

    @cached_property
    def _authority(self) -> trustme.CA:
        return trustme.CA()

    @property
    def ca(self) -> str:
        """The authority's certificate."""
        return self._write("ca.pem", self._authority.cert_pem.bytes())

    def issue(self, name: str, *identities: str, days: tuple[int, int] = (-1, 1)) -> tuple[str, str]:
        """Certificate and key for these hosts, or for a client of that name; valid between these days."""
        now = datetime.now(UTC)
        start, end = (now + timedelta(days=day) for day in days)
        made = self._authority.issue_cert(
            *(identities or (name,)), common_name=name, not_before=start, not_after=end
        )
        chain = b"".join(each.bytes() for each in made.cert_chain_pems)
        return self._write(f"{name}.pem", chain), self._write(f"{name}.key", made.private_key_pem.bytes())

    def server(
        self, *, asks: str | None = None, days: tuple[int, int] = (-1, 1), host: str = HOST
    ) -> ssl.SSLContext:
        """What a server at `host` shows; `asks`: it takes only clients of the authority in this file."""
        context = self.of(*self.issue(f"server-{host}-{days[1]}", host, days=days))
        if asks:
            context.load_verify_locations(asks)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def of(self, certificate: str, key: str) -> ssl.SSLContext:
        """A server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def self_signed(self) -> tuple[str, str]:
        """Certificate and key of a server at HOST that nobody vouches for."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
            .sign(key, SHA256())
        )
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._write("alone.pem", made.public_bytes(Encoding.PEM)), self._write("alone.key", plain)

    def encrypted(self, key: str) -> str:
        """The same key, encrypted."""
        loaded = load_pem_private_key(Path(key).read_bytes(), None)
        hidden = BestAvailableEncryption(b"hunter2")
        text = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
        return self._write("encrypted.key", text)

    def _write(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return str(path)


class TcpServer:
    """A server on `listener`; a subclass handles each connection, in a thread of its own."""

    listener: socket.socket

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Serve until the block ends."""
        threading.Thread(target=self._accept, daemon=True).start()
        with closing(self.listener):
            yield self
            self.listener.shutdown(socket.SHUT_RDWR)

    def handle(self, connection: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._handle, args=[self.listener.accept()[0]], daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError), closing(connection):
            self.handle(connection)


def listening() -> socket.socket:
    """A socket on a free port of 127.0.0.1."""
    return socket.create_server((HOST, 0))


@dataclass
class Door(TcpServer):
    """Passes what it hears in TLS on in clear; before PostgreSQL it answers its request for TLS first."""

    target: tuple[str, int]
    context: ssl.SSLContext
    postgres: bool = False
    listener: socket.socket = field(default_factory=listening)

    def handle(self, connection: socket.socket) -> None:
        """Take the TLS off, and pass both directions on."""
        if self.postgres:
            if connection.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                return
            connection.sendall(b"S")
        inside = self.context.wrap_socket(connection, server_side=True)
        with inside, socket.create_connection(self.target) as beyond:
            relay(inside, beyond, pump, pump)


Pump = Callable[[socket.socket, socket.socket], None]


def relay(near: socket.socket, far: socket.socket, there: Pump, back: Pump) -> None:
    """Pass both directions on until the near end is done, and five seconds more for the far one."""
    other = threading.Thread(target=back, args=[far, near], daemon=True)
    other.start()
    there(near, far)
    other.join(5)


def pump(source: socket.socket, target: socket.socket, change: Callable[[bytes], bytes] = bytes) -> None:
    """Pass on, through `change`, what comes from the source until it ends."""
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(change(piece))
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


Asked = tuple[str, str]  # method, path
Whole = tuple[str, str, Message, bytes]  # method, target, headers, body


@dataclass
class Front:
    """The sink behind a door that knows who may come in, and notes what is asked of it.

    `lets_in`: the Authorization headers that it takes, any where there are none. `permits`: what of the
    rest is answered with 403. `check` sees a whole request, and may refuse it with a status and a body.
    """

    sink: str
    context: ssl.SSLContext | None = None
    lets_in: set[str] = field(default_factory=set)
    permits: Callable[[str, str], bool] = lambda _method, _path: True
    check: Callable[[Whole], tuple[int, bytes] | None] = lambda _whole: None
    asked: list[Asked] = field(default_factory=list)
    refused: list[Asked] = field(default_factory=list)
    port: int = 0
    held: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.context else 'http'}://{HOST}:{self.port}"

    @contextmanager
    def open(self) -> Iterator["Front"]:
        """Serve."""
        handler = type("Handler", (_Handler,), {"front": self})
        server = _Server((HOST, 0), handler)
        server.front = self
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def hang_up(self) -> None:
        """End the connections there are: whoever was let in has to come in again."""
        for each in self.held:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    front: Front

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a handshake may take its time."""
        with suppress(OSError):
            if self.front.context:
                request = self.front.context.wrap_socket(request, server_side=True)
            self.front.held.append(request)
            super().finish_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = (self.command, unquote(self.path.partition("?")[0]))
        self.front.asked.append(asked)
        if self.front.lets_in and self.headers.get("authorization") not in self.front.lets_in:
            self._refuse(401, "missing or unknown credentials")
        elif refusal := self.front.check((self.command, self.path, self.headers, body)):
            self.front.refused.append(asked)
            self._answer(refusal[0], {"content-type": "application/json"}, refusal[1])
        elif not self.front.permits(*asked):
            self.front.refused.append(asked)
            self._refuse(403, f"action [{' '.join(asked)}] is unauthorized")
        else:
            self._pass_on(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the base class names them

    def _refuse(self, status: int, why: str) -> None:
        body = b'{"error":{"type":"security_exception","reason":"%s"},"status":%d}' % (why.encode(), status)
        self._answer(status, {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}, body)

    def _pass_on(self, body: bytes) -> None:
        connection = HTTPConnection(urlsplit(self.front.sink).netloc, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in PER_HOP}
        with closing(connection):
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            given = {name: value for name, value in answer.headers.items() if name.lower() not in PER_HOP}
            self._answer(answer.status, given, answer.read())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def basic(user: str, password: str) -> str:
    """The header of basic authentication."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
