"""A node of the sink for elastic_transport: its answers are bounded in time and in bytes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders, NodeConfig
from elastic_transport import ConnectionError as NodeError
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3 import BaseHTTPResponse, Timeout

from outboxctl.domain.clock import monotonic
from outboxctl.domain.failures import Answer
from outboxctl.net.deadline import GUARD
from outboxctl.sink.transport.bounded import RefusedAnswerError, most, read
from outboxctl.sink.transport.connection import UNDER_WAY, Attempt, PlainPool, TlsPool
from outboxctl.sink.transport.no_answer import asked, explain
from outboxctl.sink.transport.tls import Pin

CONNECT_SECONDS = 5.0  # for a connection at most; and no more than half of what its request has
SLOW = 1.0  # seconds after which a failure counts as silence: such a node is asked last


@dataclass(eq=False)
class SinkNodeConfig(NodeConfig):
    """A node's URL, its headers, and `ssl_context`, or `pin` in its place."""

    pin: Pin | None = None


def url_of(config: NodeConfig) -> str:
    """The URL of a node, without credentials."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{config.scheme}://{host}:{config.port}{config.path_prefix}"


class NodeReply(NamedTuple):
    """What elastic_transport takes from a node."""

    meta: ApiResponseMeta
    body: bytes


class NoAnswerError(NodeError):
    """A request got no answer; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class SinkNode(BaseNode):
    """Safe to use from several threads. `Urllib3HttpNode` would trust certifi's CAs beside an `ssl_context`.

    `answered`: it has, at some time.
    """

    def __init__(self, config: SinkNodeConfig) -> None:
        super().__init__(config)
        self.answered = False
        pool: Any = PlainPool
        more: dict[str, Any] = {"maxsize": config.connections_per_node, "block": True}
        if config.scheme == "https":
            pool, more = TlsPool, more | {"ssl_context": config.ssl_context, "pin": config.pin}
        self._pool: PlainPool | TlsPool = pool(config.host, config.port, **more)

    def perform_request(  # type: ignore[override] # its NodeApiResponse is the same, and private
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> NodeReply:
        """Send one request, once, within `request_timeout` seconds. Raises NoAnswerError."""
        seconds = request_timeout if isinstance(request_timeout, int | float) else self.config.request_timeout
        assert seconds  # noqa: S101
        began, connecting = monotonic(), min(CONNECT_SECONDS, seconds / 2)
        with GUARD.over(seconds) as watch:
            what = asked(method, target)
            attempt = Attempt(url_of(self.config), what, seconds, connecting, self.answered, watch)
            UNDER_WAY.set(attempt)
            try:
                response = self._send(method, target, body, headers)
                attempt.status = response.status
                content = _content(response, most(target, body))
                if watch.expired:  # a body without a length ends where the socket was shut
                    raise TimeoutError
            except Exception as error:
                attempt.silent = monotonic() - began >= SLOW
                raise NoAnswerError(explain(error, attempt)) from error
        self.answered = True
        meta = ApiResponseMeta(
            response.status, "1.1", HttpHeaders(response.headers), monotonic() - began, self.config
        )
        return NodeReply(meta, content)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _send(
        self, method: str, target: str, body: bytes | None, headers: HttpHeaders | None
    ) -> BaseHTTPResponse:
        attempt = UNDER_WAY.get()
        return self._pool.urlopen(
            method,
            self.path_prefix + target,
            body,
            {**self.headers, **(headers or {})},
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
        return read(response, limit)
    except RefusedAnswerError:
        response.close()  # what is still to come is no answer to the next request
        if 200 <= response.status < 300:  # noqa: PLR2004
            raise
        return b""
    finally:
        response.release_conn()
