"""A service, the record of services, and what every record is made of: a lock and a JSON file in a folder."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import psutil
from filelock import FileLock, Timeout

from outboxctl.domain.errors import UsageError
from outboxctl.drills.services import process
from outboxctl.settings.folders import refuse_foreign

T = TypeVar("T")
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
        """Return that process if it runs."""
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
        """Return how it differs from a real one, or an empty text."""
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
        """Return the file of the server's output since its last start."""
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


def load(root: Path) -> dict[Role, Service]:
    """Return every recorded service, running or not. UsageError if the file is damaged."""

    def recorded(facts: dict[str, Any]) -> Service:
        return Service(**facts | {"data": Path(facts["data"])})

    entries = read_json(root / "services.json", recorded, hint="delete it; the data stays")
    return {entry.role: entry for entry in entries}


def save(root: Path, service: Service) -> Service:
    """Record one service beside the others."""
    write(root, load(root) | {service.role: service})
    return service


def write(root: Path, services: dict[Role, Service]) -> None:
    """Record these services alone."""
    write_json(root / "services.json", [asdict(service) for service in services.values()])


@contextmanager
def locked(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock. The kernel releases it with its holder. UsageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(refuse_foreign(folder) / "lock")  # again: another user may have made it just now
        with suppress(Timeout):
            lock.acquire(blocking=False)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="see OUTBOXCTL_STATE") from error
    try:
        if not lock.is_locked:
            say(f"waiting for another outboxctl that works in {folder}")
            lock.acquire()
        yield
    finally:
        lock.release()


def read_json(path: Path, make: Callable[[dict[str, Any]], T], *, hint: str) -> list[T]:
    """Return the entries of a file of `write_json`; none without a file. UsageError if it is damaged."""
    try:
        return [make(facts) for facts in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint=hint) from None


def write_json(path: Path, value: Any) -> None:
    """Replace a file at once, on disk: a reader, or a crash, leaves the old one or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.stem}.", delete=False) as file:
        json.dump(value, file, indent=2, default=str)  # paths
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
