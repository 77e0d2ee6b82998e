"""One node of a cluster: a process, two ports, and data that stays while the process is away."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guarded_server import GuardedServer
from outboxctl.drills.services import engines, place, sockets
from outboxctl.drills.services.model import EngineKind, Say

JVM = ("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
ANSWER_SECONDS = 5.0


class ClusterNode:
    """One node. Its two ports are held for it while it is down: nobody else listens there."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self._http, self._transport = sockets.reserve(), sockets.reserve()
        self._server: GuardedServer | None = None

    @property
    def url(self) -> str:
        """Of its HTTP port."""
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def seed(self) -> str:
        """Where the other nodes find it."""
        return f"127.0.0.1:{self._transport.port}"

    @property
    def pid(self) -> int | None:
        """Of its process; None while it is down."""
        return self._server.pid if self._server and self._server.runs else None

    @property
    def state(self) -> str:
        """`up`, `frozen` or `down`."""
        if self._server is None or not self._server.runs:
            return "down"
        return "frozen" if self._server.frozen else "up"

    @property
    def log(self) -> Path:
        """What it printed, since its first start."""
        return self.home / "server.log"

    def start(self, kind: EngineKind, settings: Mapping[str, str], say: Say) -> None:
        """Start its process on its data. UnreachableError where the machine lacks the parts."""
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o711)
        data = self.home / "data"
        place.make_data(data)
        own = {"node.name": self.name, "path.data": str(data)}
        ports = {"http.port": str(self._http.port), "transport.port": str(self._transport.port)}
        command = engines.engine_command(kind, own | ports | dict(settings), JVM, say)
        self.end(signal.SIGKILL)
        self._server = GuardedServer(command, cwd=data, log=self.log)

    def send(self, number: signal.Signals) -> None:
        """Signal its process, if it runs."""
        if self._server:
            self._server.send(number)

    def end(self, number: signal.Signals) -> None:
        """End its process by this signal, if it runs; returns once it has ended."""
        if self._server:
            self._server.end(number)
            self._server = None

    def release(self) -> None:
        """Give its ports up."""
        self._http.close()
        self._transport.close()

    def ask(self, path: str, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return the JSON object that it answers with 200; empty where it does not."""
        return sockets.answer(self._http.port, path, seconds=seconds) if self.state == "up" else {}

    def leader(self) -> str | None:
        """The name of the node that leads, as this one sees it; None without one."""
        path = "/_cluster/state/master_node,nodes?local=true&filter_path=master_node,nodes.*.name"
        state = self.ask(path)
        node = state.get("nodes", {}).get(state.get("master_node"), {})
        return str(node["name"]) if node else None
