"""What befalls the view and the index of the shop while it storms, one after the other, for seconds."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from random import Random

import psycopg

from engines.node import Node
from processes import Cli
from storm.plan import Site
from storm.weather import Weather

WHO = ("--by", "storm", "--reason", "storm", "--yes")
LASTS, PAUSE = 3.0, 2.0  # seconds, at most
VIEW = "shop.storm_documents"
# The document is that of shop.product_revisions, with which the judge compares.
SCHEMA = f"""
CREATE TABLE shop.skies (sky text NOT NULL);
INSERT INTO shop.skies VALUES ('fine');
CREATE FUNCTION shop.under_the_sky(rev bigint) RETURNS bigint STABLE LANGUAGE plpgsql AS $$
DECLARE sky text := (SELECT s.sky FROM shop.skies s);
BEGIN
    IF sky = 'slow' THEN PERFORM pg_sleep(0.2); END IF;
    IF sky = 'broken' AND rev % 3 = 0 THEN RAISE 'the storm says so'; END IF;
    RETURN rev;
END $$;
CREATE VIEW {VIEW} AS
SELECT id, shop.under_the_sky(rev) AS rev, categories, reviews, offers FROM shop.product_revisions;
"""


class Troubles:
    """They come and go from `begin` to `finish`; `seen` counts them, `errors` are commands that failed."""

    def __init__(
        self, sql: psycopg.Connection, engine: Node, site: Site, weather: Weather, cli: Cli, rng: Random
    ) -> None:
        self._sql, self._engine, self._weather, self._cli = sql, engine, weather, cli
        self._index, self._cluster = site.products, site.cluster
        self._rng, self._over, self._thread = rng, threading.Event(), ThreadPoolExecutor(1)
        self.seen: Counter[str] = Counter()
        self._running: Future[None] | None = None
        self._troubles: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "view slow": partial(self._view, "slow"),
            "view broken": partial(self._view, "broken"),
            "view locked": self._locked,
            "view gone": self._gone,
            "index blocked": self._blocked,
            "index closed": self._closed,
            "index deleted": self._deleted,
            "index silent": self._silent,
            **({"node frozen": self._frozen, "node killed": self._killed} if site.cluster else {}),
        }

    def begin(self) -> None:
        """Have the first one come."""
        self._running = self._thread.submit(self._run)

    def finish(self) -> None:
        """End the last one; raises what went wrong."""
        self._over.set()
        self._thread.shutdown()
        if self._running:
            self._running.result()

    def replay(self) -> None:
        """Have the events tried again that failed because their rows could not be read."""
        self._cli.ok("replay", *WHO, "--error-reason", "bad_document", "--limit", "1000000")

    def _run(self) -> None:
        names: list[str] = []
        while not self._over.wait(self._rng.random() * PAUSE):
            names = names or self._rng.sample([*self._troubles], len(self._troubles))
            with self._troubles[name := names.pop()]():
                self._over.wait(LASTS * self._rng.random())
            self.seen[name] += 1

    @contextmanager
    def _view(self, sky: str) -> Iterator[None]:
        self._sql.execute("UPDATE shop.skies SET sky = %s", [sky])
        yield
        self._sql.execute("UPDATE shop.skies SET sky = 'fine'")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._sql.transaction():
            self._sql.execute("LOCK TABLE shop.skies")
            yield

    @contextmanager
    def _gone(self) -> Iterator[None]:
        self._sql.execute(f"ALTER VIEW {VIEW} RENAME TO gone".encode())
        yield
        self._sql.execute("ALTER VIEW shop.gone RENAME TO storm_documents")

    @contextmanager
    def _blocked(self) -> Iterator[None]:
        self._engine.block(self._index, "write", on=True)
        yield
        self._engine.block(self._index, "write", on=False)

    @contextmanager
    def _closed(self) -> Iterator[None]:
        self._engine.ok("POST", f"/{self._index}/_close")
        yield
        self._engine.ok("POST", f"/{self._index}/_open")

    @contextmanager
    def _deleted(self) -> Iterator[None]:
        (name,) = self._engine.ok("GET", f"/_alias/{self._index}")
        self._engine.ok("DELETE", f"/{name}")
        yield
        self.seen["index made by a request"] += self._engine.there(self._index)
        self._cli.ok("rebuild", "--projection", "product", *WHO, timeout=300)

    @contextmanager
    def _silent(self) -> Iterator[None]:
        self._weather.silent = True
        yield
        self._weather.silent = False

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        assert self._cluster
        self._cluster.freeze(name := self._rng.choice(["n2", "n3"]))
        yield
        self._cluster.wake(name)

    @contextmanager
    def _killed(self) -> Iterator[None]:
        assert self._cluster
        self._cluster.kill(name := self._rng.choice(["n2", "n3"]))
        yield
        self._cluster.restart(name)
