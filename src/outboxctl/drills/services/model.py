"""What a service is: the facts that are recorded, and everything that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from outboxctl.drills.services import process

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

Role = Literal["postgres", "search"]
EngineKind = Literal["elasticsearch", "elasticsearch8", "opensearch", "opensearch3"]  # see engines.RELEASES
Kind = Literal["embedded", "noida"] | EngineKind
Say = Callable[[str], None]
SearchWish = Literal["auto", "noida"] | EngineKind

ENGINES: tuple[EngineKind, ...] = get_args(EngineKind)
CAVEATS: dict[Kind, str] = {
    "embedded": "",
    **dict.fromkeys(ENGINES, "no security, ILM, reindex, scripting; no analysis-common (english, synonym)"),
    "noida": "an imitation: keeps no tombstones, accepts index names that Elasticsearch refuses",
}
PROVEN = "require_auth=scram-sha-256"


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Service:
    """One server of `services up`. `pid` and `born` identify its process; both are None while it is down.

    `born` is the kernel's creation time of the process, in seconds since the epoch.
    """

    role: Role
    kind: Kind
    port: int
    data: Path
    pid: int | None = None
    born: float | None = None
    version: str = ""

    @property
    def process(self) -> psutil.Process | None:
        """That process, if it runs."""
        return process.find(self.pid, self.born) if self.pid and self.born else None

    @property
    def running(self) -> bool:
        """Whether that process runs."""
        return self.process is not None

    @property
    def listens(self) -> bool:
        """Whether that process runs, and is the one that listens on the port."""
        server = self.process
        return server is not None and process.listens(server, self.port)

    @property
    def url(self) -> str:
        """Ready for `DATABASE_URL`, psql too, or `ELASTIC_URL`."""
        if self.role == "search":
            return f"http://127.0.0.1:{self.port}"
        return self._database("wordloom", "wordloom", "wordloom_test")

    @property
    def admin_url(self) -> str:
        """The superuser's URL of PostgreSQL; it holds a secret. For a search engine the same as `url`.

        Another local user may listen on the port: by SCRAM he learns no password, and has to know it himself.
        """
        if self.kind != "embedded":
            return self.url
        return f"{self._database('postgres', self.password_file.read_text(), 'postgres')}?{PROVEN}"

    @property
    def caveat(self) -> str:
        """How it differs from a real one; empty if it does not."""
        return CAVEATS[self.kind]

    @property
    def started_at(self) -> datetime | None:
        """When its process began; None while down."""
        return datetime.fromtimestamp(self.born, UTC) if self.born else None

    @property
    def home(self) -> Path:
        """The folder of everything that is this service's: data, log, password."""
        return self.data.parent

    @property
    def log(self) -> Path:
        """What the server printed since its last start."""
        return self.home / "server.log"

    @property
    def password_file(self) -> Path:
        """The superuser's password, beside the data it opens."""
        return self.home / "password"

    def _database(self, user: str, password: str, name: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"


@dataclass(frozen=True)
class Services:
    """The two services."""

    postgres: Service
    search: Service
