"""A stage a fault: a database, an index and workers of its own, told apart by a namespace."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from uuid import uuid4

import psycopg
from elasticsearch import Elasticsearch

import servers as test_servers
from fakes import FakeSink, fake_sink
from fakes.postgres_proxy import Proxy, postgres_proxy
from metrics.alerts.monitoring import Monitoring, Target
from outboxctl.drills import services
from outboxctl.sink.index.index_setup import ensure
from processes import Worker, environment, eventually, start_broken_worker, start_worker
from scene import Scene, ready
from servers import Servers
from sinks import client_of

LONGEST = 45.0  # seconds for one step; most take five
LOOK = 0.2  # seconds between two looks: there is one who looks on each stage


@dataclass
class Stage:
    """Proxies stand before both ends, `url` is the database itself; `watch` is there once Prometheus is."""

    namespace: str
    url: str
    scene: Scene
    sink: FakeSink
    database: Proxy
    folder: Path
    ports: list[int]
    settings: dict[str, str]
    workers: dict[int, Worker] = field(default_factory=dict)
    watch: Monitoring | None = None

    @property
    def targets(self) -> list[Target]:
        """What Prometheus is to scrape."""
        return [Target(port, self.namespace) for port in self.ports]

    @property
    def worker(self) -> Worker:
        """The only one, or the first."""
        return self.workers[self.ports[0]]

    def start(self, port: int, *, broken: str = "") -> Worker:
        """Start a worker of this stage on one of its ports; one method of it may be broken."""
        env = environment(
            DATABASE_URL=self.database.url,
            ELASTIC_URL=self.sink.url,
            ELASTIC_INDEX=self.scene.index,
            OUTBOX_WORKER_ID=str(port),
            **self.settings,
        )
        if broken:
            self.workers[port] = start_broken_worker(env, self.folder, port, broken)
        else:
            self.workers[port] = start_worker(env, self.folder, port)
        return self.workers[port]

    def end(self) -> None:
        """Leave no worker behind, nor one that is stopped."""
        for each in self.workers.values():
            each.end()

    def until_ready(self) -> None:
        """All of them work."""
        eventually(lambda: all(map(ready, self.workers.values())), within=LONGEST, what=self.namespace)

    def until_watched(self) -> None:
        """Prometheus has seen each worker's counters at what they were before the fault."""
        seen = f'count_over_time(up{{namespace="{self.namespace}"}}[1m]) > 2'
        self._until(lambda watch: len(watch.query(seen)) == len(self.ports), "watched")

    def until_firing(self, *names: str) -> None:
        """All of these alerts fire."""
        self._until(lambda watch: set(names) <= watch.firing(self.namespace), f"firing: {names}")
        assert self.watch
        assert "error expanding template" not in self.watch.texts()

    def until_silent(self) -> None:
        """No alert fires any more."""
        self._until(lambda watch: not watch.firing(self.namespace), "silent")

    def until_done(self) -> None:
        """Every event is done."""
        query = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
        self._until(lambda _: self.scene.sql.execute(query).fetchone() == (0,), "done")

    def until(self, check: Callable[[], object], what: str) -> None:
        """Anything else."""
        self._until(lambda _: check(), what)

    def _until(self, check: Callable[[Monitoring], object], what: str) -> None:
        assert self.watch
        watch = self.watch

        def look() -> object:
            sleep(LOOK)
            return check(watch)

        eventually(look, within=LONGEST, what=f"{self.namespace}: {what}")


@contextmanager
def stage(
    namespace: str,
    both: Servers,
    template: str,
    engine: Elasticsearch,
    folder: Path,
    *,
    workers: int,
    settings: dict[str, str],
) -> Iterator[Stage]:
    """A stage with running workers; nothing is left of it."""
    url = test_servers.new_database(both.postgres, template=template)
    index = f"t-{uuid4().hex[:12]}"
    ensure(client_of(engine), index)
    with ExitStack() as stack:
        stack.callback(test_servers.drop_database, both.postgres, url)
        stack.callback(_drop_index, engine, index)
        made = Stage(
            namespace,
            url,
            Scene(stack.enter_context(psycopg.connect(url, autocommit=True)), engine, index),
            stack.enter_context(fake_sink(upstream=both.sink)),
            stack.enter_context(postgres_proxy(url)),
            folder,
            [services.fresh_port() for _ in range(workers)],
            settings,
        )
        stack.callback(made.end)
        for port in made.ports:
            made.start(port)
        yield made


def _drop_index(engine: Elasticsearch, index: str) -> None:
    for each in engine.indices.get_alias(index=f"{index}*", expand_wildcards="all"):
        engine.indices.delete(index=each)
