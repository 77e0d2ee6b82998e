"""A node of the sink for elastic_transport: its answers are bounded in time and in bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders, NodeConfig, TransportApiResponse
from elastic_transport import ConnectionError as NodeError
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.domain.printable import brief
from outboxctl.net.deadline import GUARD
from outboxctl.sink.transport.connection import (
    UNDER_WAY,
    Attempt,
    PlainConnection,
    RefusedAnswerError,
    TlsConnection,
    explain,
)

HEADERS = {"accept": "application/json", "user-agent": "outboxctl"}
SPARE = 2  # connections to a node beside those that are asked for: of its probe and a look at the cluster
LONGEST_PATH = 200  # characters of a path that are shown
CONNECT_SECONDS = 5.0  # for a connection at most; and no more than half of what its request has
MIB = 2**20
ROOT = MIB
BULK = 16 * MIB  # 10,000 items that all failed, for the longest of usual reasons
QUOTED = 4  # times its size: Elasticsearch 9.0.4 quotes a value that it refuses twice
DOCUMENTS = 512 * MIB  # of a page of whole documents: the engine has no bound of its own
OTHER = 64 * MIB  # mappings and statistics of a large cluster
SLOW = 1.0  # seconds after which a failure counts as silence: such a node is asked last


# Makes the headers that prove who sends a request, of its method, URL and body.
Sign = Callable[[str, str, bytes | None], dict[str, str]]


@dataclass(eq=False)
class SinkNodeConfig(NodeConfig):
    """A node's URL, its headers and `ssl_context`."""

    sign: Sign | None = None


def url_of(config: NodeConfig) -> str:
    """The URL of a node, without credentials."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{config.scheme}://{host}:{config.port}{config.path_prefix}"


class NoAnswerError(NodeError):
    """A request got no answer; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class SinkNode(BaseNode):
    """Thread-safe; `Urllib3HttpNode` would trust certifi's CAs, too. `answered`: it has, at some time."""

    def __init__(self, config: SinkNodeConfig) -> None:
        super().__init__(config)
        self.answered, self._sign, self._url = False, config.sign, url_of(config)
        at: dict[str, Any] = {
            "host": config.host,
            "port": config.port,
            "maxsize": config.connections_per_node,
        }
        self._pool = HTTPConnectionPool(**at, block=True)
        self._pool.ConnectionCls = PlainConnection
        if config.scheme == "https":
            self._pool = HTTPSConnectionPool(**at, ssl_context=config.ssl_context, block=True)
            self._pool.ConnectionCls = TlsConnection

    def perform_request(  # type: ignore[override] # its NodeApiResponse is the same, and private
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> TransportApiResponse:
        """Send one request, once, within `request_timeout` seconds. Raises NoAnswerError."""
        seconds = request_timeout if isinstance(request_timeout, int | float) else self.config.request_timeout
        assert seconds  # noqa: S101
        began, connecting = monotonic(), min(CONNECT_SECONDS, seconds / 2)
        with GUARD.over(seconds) as watch:
            asked = f"{method} {target.partition('?')[0][:LONGEST_PATH]}"
            attempt = Attempt(self._url, asked, seconds, connecting, self.answered, watch)
            UNDER_WAY.set(attempt)
            try:
                response = self._send(method, target, body, headers)
                attempt.status = response.status
                content = _content(response, _most(target, body))
                if watch.expired:  # a body without a length ends where the socket was shut
                    raise TimeoutError
            except Exception as error:
                attempt.silent = monotonic() - began >= SLOW
                raise NoAnswerError(explain(error, attempt)) from error
        self.answered = True
        meta = ApiResponseMeta(
            response.status, "1.1", HttpHeaders(response.headers), monotonic() - began, self.config
        )
        return TransportApiResponse(meta, content)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _send(
        self, method: str, target: str, body: bytes | None, headers: HttpHeaders | None
    ) -> BaseHTTPResponse:
        attempt = UNDER_WAY.get()
        proof = self._sign(method, self._url + target, body) if self._sign else {}
        return self._pool.urlopen(
            method,
            self.path_prefix + target,
            body,
            {**self.headers, **(headers or {}), **proof},
            retries=False,
            redirect=False,
            timeout=Timeout(connect=attempt.connecting, read=attempt.seconds),
            pool_timeout=attempt.connecting,  # type: ignore[arg-type] # it takes parts of seconds
            preload_content=False,
            decode_content=False,
        )


def _content(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body; empty where it is refused and the status is no 2xx."""
    try:
        return _read(response, limit)
    except RefusedAnswerError:
        response.close()  # what is still to come is no answer to the next request
        if 200 <= response.status < 300:  # noqa: PLR2004
            raise
        return b""
    finally:
        response.release_conn()


def _most(target: str, body: bytes | None) -> int:
    """Bytes that the answer to a request may have."""
    path = target.partition("?")[0]
    if path.endswith("/_bulk"):
        return BULK + QUOTED * len(body or b"")
    if path.endswith(("/_search", "/_mget")):
        return DOCUMENTS
    return OTHER if path.strip("/") else ROOT


def _read(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body. Raises RefusedAnswerError for one that is encoded or larger, and what urllib3 raises."""
    length, coding = response.length_remaining, response.headers.get("content-encoding", "identity")
    if length == 0:
        return b""
    if coding.strip().lower() != "identity":
        text = f"the answer has a content coding that was not asked for: {brief(coding, 40)}"
        raise RefusedAnswerError("encoded", text)
    body = b"" if (length or 0) > limit else response.read(None if length is not None else limit + 1)
    if max(length or 0, len(body)) > limit:
        text = f"the answer is larger than {limit:,} bytes, the most for its request"
        raise RefusedAnswerError("oversized", text)
    return body
