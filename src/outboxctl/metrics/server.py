"""The HTTP server of `/metrics`, `/healthz` and `/readyz`: GET and HEAD only; a probe makes no request."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.metrics.connections import PATIENCE, Connections
from outboxctl.metrics.registry import Metrics

TEXT = "text/plain; version=0.0.4; charset=utf-8"

Probe = Callable[[], dict[str, str]]
LastSuccess = Callable[[], float | None]


class MetricsServer:
    """Serves in a daemon thread. `alive` and `ready` return what fails by name, cached by the caller.

    `last_success` returns the seconds since an event was last completed, None before the first.
    """

    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        *,
        alive: Probe,
        ready: Probe,
        last_success: LastSuccess,
    ) -> None:
        try:
            self._http = Connections((host, port), _handler(metrics, alive, ready, last_success), metrics)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {f'[{host}]' if ':' in host else host}:{port}: {error.strerror or error}",
                hint="another worker may run there: set OUTBOX_METRICS_PORT to a free port",
            ) from None
        self._thread = threading.Thread(target=self._http.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        self._http.stop()


class _Quiet(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server_version = "outboxctl"
    sys_version = ""

    def handle(self) -> None:
        # The client has gone, or its request is invalid: neither is logged.
        with suppress(OSError, ValueError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's names
        pass


def _handler(
    metrics: Metrics, alive: Probe, ready: Probe, last_success: LastSuccess
) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def do_GET(self) -> None:
            status, kind, body = self._answer()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the base class dispatches by this name

        def _answer(self) -> tuple[int, str, bytes]:
            match self.path.partition("?")[0]:
                case "/metrics":
                    return 200, TEXT, metrics.snapshot()
                case "/healthz":
                    failing = alive()
                    return _json({"healthy": not failing, "failing": failing}, ok=not failing)
                case "/readyz":
                    if failing := ready():
                        return _json({"ready": False, "failing": failing}, ok=False)
                    return _json({"ready": True, "last_success_seconds": last_success()}, ok=True)
            return 404, "text/plain", b"try /metrics, /healthz or /readyz\n"

    return Handler


def _json(body: dict[str, Any], *, ok: bool) -> tuple[int, str, bytes]:
    return 200 if ok else 503, "application/json", json.dumps(body).encode() + b"\n"
