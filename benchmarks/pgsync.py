"""pgsync and its Redis as processes, on tables of PostgreSQL: its first sync, then its daemon."""

import json
import os
import re
import shutil
import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import psycopg

from benchmarks import shop
from benchmarks.command import STATE, say
from benchmarks.processes import wait_until
from benchmarks.rig import Rig, must
from outboxctl.domain.errors import UsageError
from outboxctl.drills import services
from outboxctl.net.urls import check_database_url
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.lifecycle import FILLING, REFRESH
from outboxctl.sink.transport.request import request

VERSION = "7.3.0"
HINTS = {
    "pgsync": f"python -m venv DIR && DIR/bin/pip install pgsync=={VERSION}; then --pgsync DIR/bin/pgsync",
    "redis": "install redis-server (Debian: apt-get install redis-server); if not in PATH: --redis PATH",
}
# Against its defaults: bodies are not compressed, which costs more than it saves on one machine; smaller
# requests and larger reads of its queue, which were the quickest of those tried; less said meanwhile. And it
# ends where an answer takes longer than its 10 s.
SETTINGS = {
    "ELASTICSEARCH_HTTP_COMPRESS": "false",
    "ELASTICSEARCH_CHUNK_SIZE": "1000",
    "ELASTICSEARCH_TIMEOUT": "60",
    "REDIS_READ_CHUNK_SIZE": "5000",
    "REDIS_WRITE_CHUNK_SIZE": "5000",
    "LOG_INTERVAL": "5",
    "GENERAL_LOGGING_LEVEL": "WARNING",
}
REDIS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
STOP, LOOK = 15.0, 0.02  # seconds until it is killed, and between two looks
QUEUE = re.compile(r"Redis: \[([^]]*)\]")  # of its line of status, each LOG_INTERVAL seconds


class PgsyncIndex(NamedTuple):
    """What pgsync shall make: its index, the nodes of its schema file, and the index's mapping."""

    name: str
    nodes: Mapping[str, Any]
    mappings: Mapping[str, Any]


def programs(args: Namespace) -> dict[str, str]:
    """Where pgsync, its bootstrap and redis-server are. Raises UsageError where one is missing."""
    found = {name: shutil.which(getattr(args, name)) for name in HINTS}
    for name, path in found.items():
        if path is None:
            raise UsageError(f"{getattr(args, name)} is not there, or no program", hint=HINTS[name])
    beside = Path(str(found["pgsync"])).with_name("bootstrap")
    if not beside.exists():
        raise UsageError(f"{beside} is not there: it comes with pgsync", hint=HINTS["pgsync"])
    return {name: str(Path(str(path)).absolute()) for name, path in found.items()}


def prepare(args: Namespace) -> None:
    """Before the servers start: pgsync and Redis are there, and PostgreSQL writes the log that pgsync reads.

    Raises UsageError where one of both is missing.
    """
    programs(args)
    postgres = services.start_postgres(STATE, fresh=True, say=say)
    with psycopg.connect(check_database_url(postgres.admin_url), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = 'logical'")
        connection.execute("ALTER ROLE wordloom REPLICATION")
    services.stop("postgres", STATE)


class Pgsync:
    """pgsync with a Redis; a context manager, which starts the Redis and ends it."""

    def __init__(self, rig: Rig, args: Namespace, documents: PgsyncIndex) -> None:
        self._documents = documents
        self._rig, self._programs, self._folder = rig, programs(args), rig.folder / "pgsync"
        self._port, self._log = services.fresh_port(), self._folder / "pgsync.log"
        url = check_database_url(rig.settings.require_database_url())
        self._environment = SETTINGS | {
            "PATH": os.environ["PATH"],
            "PG_URL": url,
            "ELASTICSEARCH_URL": rig.settings.elastic_url.get_secret_value(),
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self._port),
        }
        self._folder.mkdir(exist_ok=True)
        schema = [
            {"database": urlsplit(url).path.lstrip("/"), "index": documents.name, "nodes": documents.nodes}
        ]
        (self._folder / "schema.json").write_text(json.dumps(schema))

    def settle(self) -> float:
        """When the last document was written, after which its queue is empty, as it says itself."""
        last, queued, end = 0.0, "unknown", monotonic() + shop.PATIENCE
        while queued != "0" and monotonic() < end:
            last = shop.wait_quiet(self._rig, self._documents.name, shop.QUIET)
            queued = (QUEUE.findall(self._said("pgsync")) or [queued])[-1]
        must(queued == "0", f"pgsync's queue holds {queued} after {shop.PATIENCE:g} s")
        return last

    @contextmanager
    def filled(self, count: int) -> Iterator[tuple[dict[str, float], list[psutil.Process]]]:
        """The seconds of its bootstrap and of its first sync, with its CPU; then its daemon and its Redis."""
        with ExitStack() as stack:
            redis = stack.enter_context(self._running("redis", "--port", str(self._port), *REDIS))
            self._wait(redis, "redis", lambda: "Ready to accept" in self._said("redis"))
            began = monotonic()
            self._bootstrap()
            stack.callback(self._bootstrap, "--teardown")
            figures = {"pgsync: bootstrap": monotonic() - began}
            index = self._documents.name
            _fresh_index(self._rig, self._documents)
            began, before = monotonic(), spent(self._rig, [])
            daemon = stack.enter_context(self._running("pgsync", "--config", "schema.json", "--daemon"))
            self._wait(daemon, "pgsync", lambda: shop.written(self._rig, index) >= count)
            figures["pgsync: fill"] = monotonic() - began
            both = [daemon, redis]
            for whose, seconds in spent(self._rig, both).items():
                figures[f"pgsync: fill, {whose} CPU"] = seconds - before[whose]
            self._wait(daemon, "pgsync", lambda: "Sync " in self._said("pgsync"))  # its second look is over
            request(self._rig.client, "PUT", index, "_settings", body={REFRESH: None})
            yield figures, both

    def _wait(self, process: psutil.Process, name: str, holds: Callable[[], bool]) -> None:
        def either() -> bool:
            must(runs(process), f"{name} ended: {self._said(name)[-2_000:]}")
            return holds()

        wait_until(either, f"what {name} shall do", LOOK, patience=shop.PATIENCE)

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _bootstrap(self, *flags: str) -> None:
        program = Path(self._programs["pgsync"]).with_name("bootstrap")
        command = [str(program), "--config", "schema.json", *flags]
        with (self._folder / "bootstrap.log").open("w") as out:
            done = subprocess.run(
                command, env=self._environment, cwd=self._folder, stdout=out, stderr=out, check=False
            )
        must(done.returncode == 0, self._said("bootstrap")[-2_000:])

    @contextmanager
    def _running(self, name: str, *flags: str) -> Iterator[psutil.Process]:
        with (self._folder / f"{name}.log").open("w") as out:
            command = [self._programs[name], *flags]
            process = subprocess.Popen(
                command, env=self._environment, cwd=self._folder, stdout=out, stderr=out
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def spent(rig: Rig, processes: Sequence[psutil.Process]) -> dict[str, float]:
    """CPU seconds so far of processes with those that they started (own), and of the servers."""
    every = [each for root in processes for each in (root, *root.children(recursive=True))]
    own = sum(sum(each.cpu_times()[:2]) for each in every)
    servers = {"PostgreSQL": "postgres", "Elasticsearch": "engine"}
    return {"own": own} | {name: rig.cpu_seconds(server) for name, server in servers.items()}


def runs(process: psutil.Process) -> bool:
    """Whether a process that this one started has not ended."""
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def _fresh_index(rig: Rig, documents: PgsyncIndex) -> None:
    """An index as a rebuild of outboxctl makes it: the same mapping, and not refreshed while it is filled."""
    request(rig.client, "DELETE", documents.name, ignore_unavailable=True)
    body = {"mappings": documents.mappings, "settings": index_setup.SETTINGS | FILLING}
    request(rig.client, "PUT", documents.name, body=body)
