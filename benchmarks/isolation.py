"""One projection in trouble with a million events: how late others are. Fifty quiet ones: their cost."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import time

import psutil

from benchmarks import processes, shop, tables
from benchmarks.command import collected, figures, say
from benchmarks.latency import percentile
from benchmarks.processes import BY, serving
from benchmarks.report import Section
from benchmarks.rig import Rig
from benchmarks.writer import WARM_UP, Committed, execute
from outboxctl.core.schema.names import EVENTS, SOURCE
from outboxctl.drills.proxy import Proxy, faults
from outboxctl.drills.proxy.faults import ActiveFault
from outboxctl.drills.proxy.wire import ProxyRequest
from outboxctl.sink.index import index_setup
from outboxctl.sink.transport.request import request

TITLE = "Isolation"
S = "bench_isolation"
RATE, PATIENCE = 40, 60.0  # transactions a second; seconds after which an event counts as that late
FAULTS = "alone,healthy,dead,blocked,slow,locked,silent"
QUIET = 50  # projections
SLOW = 0.2  # seconds a document
SEEN = f"CREATE OR REPLACE FUNCTION {S}.seen(text) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN {{}} END'"
TABLES = f"""
DROP SCHEMA IF EXISTS {S} CASCADE; CREATE SCHEMA {S}; {SEEN.format("RETURN $1;")};
CREATE TABLE {S}.ill AS SELECT n::bigint AS id, 'name ' || n AS name FROM generate_series(1, {{}}) n;
ALTER TABLE {S}.ill ADD PRIMARY KEY (id);
CREATE VIEW {S}.ill_documents AS SELECT id, {S}.seen(name) AS name FROM {S}.ill;
"""
TABLE = f"CREATE TABLE IF NOT EXISTS {S}.{{0}} (id bigint PRIMARY KEY, name text NOT NULL);"
DECLARED = f"""
[projections.{{0}}]
root = "{S}.{{0}}"
key = "id"
document = "{S}.{{1}}"
index = "{S}-{{0}}"
"""
BACKLOG = f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key)
SELECT 'ill', md5('ill:' || id)::uuid, 'upsert', id::text FROM {S}.ill
"""
OWN = f"""
WITH written AS (INSERT INTO public.{SOURCE} (entity_type, entity_id, text, event_version)
    VALUES ('block', md5('{{0}}')::uuid, 'text', 1) RETURNING entity_type, entity_id)
INSERT INTO public.{EVENTS} (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, 'upsert', 1 FROM written
"""
ROW = f"INSERT INTO {S}.{{1}} VALUES ({{0}}, 'name')"
SETTLED = f"""
SELECT n, extract(epoch FROM processed_at)::float8 FROM {EVENTS} JOIN generate_series(1, {{}}) n
ON entity_id = md5(n::text)::uuid AND entity_type = 'block' OR entity_key = n::text AND entity_type = 'well'
WHERE status = 'done'
"""
UNSETTLED = f"""
SELECT count(*) FROM {EVENTS} WHERE entity_type IN ('block', 'well') AND status IN ('pending', 'processing')
"""
KINDS = ("search_index", "projection")
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
NOTES = f"""\
- One projection has so many events and one fault, and a worker starts. An open loop as in "Latency" writes
  {RATE} transactions a second, by turns one row of another projection and one of search_index. From COMMIT's
  return to `processed_at`; what is not delivered {PATIENCE:g} s after the writer's end counts as that late.
  The first {WARM_UP:g} s do not count. "Healthy": the backlog is delivered meanwhile; "alone": there is none.
- dead: the index is deleted; blocked: `index.blocks.write`; slow: {SLOW:g} s a document; locked: the view's
  table by ACCESS EXCLUSIVE; silent: no answer to any request that names the index.
- {QUIET} projections: one transaction a second of each; cores of their worker and of PostgreSQL, where the
  writer's transactions are included.
"""


class Silent(Proxy):
    """Nothing about one index is ever answered."""

    def choose(self, request: ProxyRequest) -> ActiveFault:
        """Silence where the path names it."""
        ill = f"{S}-ill" in request.target
        return ActiveFault(faults.blackhole(), over=self.closing) if ill else ActiveFault()


def run(rig: Rig, args: Namespace) -> Section:
    """Each fault under each policy, and the quiet ones."""
    cells = [(fault, policy) for fault in args.faults.split(",") for policy in args.policies.split(",")]
    tables.reset(rig)
    tables.execute(rig, TABLES.format(args.backlog) + TABLE.format("well"))

    def repetition(_number: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for fault, policy in cells:
            found |= _latencies(rig, args.seconds, fault, policy)
        return found | _quiet(rig, args.seconds)

    values = collected(rig, args.repeat, repetition)
    for share in SHARES:
        each = [v for name, v in values.items() if name.endswith(share) and not name.startswith("alone")]
        values[f"all, {share}"] = [max(row) for row in zip(*each, strict=True)]
    shown = figures(values, lambda name: "cores" if "quiet" in name else "ms")
    return Section(TITLE, f"{args.backlog:,} events wait; {args.seconds:g} s a cell.", shown, NOTES)


def _latencies(rig: Rig, seconds: float, fault: str, policy: str) -> dict[str, float]:
    """Milliseconds after COMMIT returned, of both kinds together, by figure."""
    _declared(rig, {"ill": "ill_documents", "well": "well"})
    tables.execute(rig, f"TRUNCATE {S}.well, {SOURCE}, {EVENTS}")
    if fault != "alone":
        tables.execute(rig, BACKLOG)
    tables.flush(rig)
    count = int(RATE * (WARM_UP + seconds))
    plan = [(n / RATE, (OWN, ROW)[n % 2].format(n, "well")) for n in range(1, count)]
    own = {} if policy == "unset" else {"outage_policy": policy}
    with _in_trouble(rig, fault) as more, serving(replace(rig, more=own | more)):
        written: list[Committed] = shop.elsewhere(execute, rig.settings.require_database_url(), plan)
        ended = time()
        shop.until(lambda: not tables.number(rig, UNSETTLED), ended, PATIENCE)
        with rig.database.begin() as connection:
            settled: dict[int, float] = dict(connection.execute(tables.sql(SETTLED.format(count))).all())
    found: dict[str, float] = {}
    for kind, name in enumerate(KINDS):
        counting = {n: each for n, each in enumerate(written, 1) if n % 2 == kind and n > RATE * WARM_UP}
        lags = sorted(settled.get(n, ended + PATIENCE) - each.at for n, each in counting.items())
        times = {share: 1_000 * percentile(lags, part) for share, part in SHARES.items()}
        say(f"{fault}, {policy}, {name}: " + ", ".join(f"{share} {v:.0f} ms" for share, v in times.items()))
        keys = {f"{fault}, {policy}: {share}": value for share, value in times.items()}
        found |= {key: max(value, found.get(key, 0.0)) for key, value in keys.items()}
    return found


def _declared(rig: Rig, views: dict[str, str]) -> None:
    """These projections in force, each with a new index."""
    for name in views:
        index_setup.remove(rig.client, f"{S}-{name}")
    file = rig.folder / "isolation.toml"
    file.write_text("".join(DECLARED.format(name, view) for name, view in views.items()))
    processes.run(rig, "projection", "apply", str(file), *BY)


def _quiet(rig: Rig, seconds: float) -> dict[str, float]:
    """Cores that many projections take, each of which has one event a second."""
    names = [f"quiet{number}" for number in range(QUIET)]
    tables.execute(rig, f"DROP TABLE IF EXISTS {', '.join(f'{S}.{name}' for name in names)}")
    tables.execute(rig, "".join(map(TABLE.format, names)))
    _declared(rig, dict(zip(names, names, strict=True)))
    tables.execute(rig, f"TRUNCATE {EVENTS}")
    tables.flush(rig)
    plan = [(n / QUIET, ROW.format(n, names[n % QUIET])) for n in range(int(QUIET * (WARM_UP + seconds)))]
    with serving(rig) as worker:
        process = psutil.Process(worker.pid)

        def spent() -> dict[str, float]:
            return {"the worker": sum(process.cpu_times()[:2]), "PostgreSQL": rig.cpu_seconds("postgres")}

        before = spent()
        shop.elsewhere(execute, rig.settings.require_database_url(), plan)
        processes.wait_done(rig, len(plan))
        cores = {whose: (s - before[whose]) / (WARM_UP + seconds) for whose, s in spent().items()}
    return {f"{QUIET} quiet projections, {whose}": each for whose, each in cores.items()}


@contextmanager
def _in_trouble(rig: Rig, fault: str) -> Iterator[dict[str, str]]:
    """The settings by field name of a worker that meets it."""
    url = rig.settings.elastic_url.get_secret_value()
    with ExitStack() as stack:
        if fault == "dead":
            index_setup.remove(rig.client, f"{S}-ill")
        elif fault == "blocked":
            request(rig.client, "PUT", f"{S}-ill", "_settings", body={"index.blocks.write": True})
        elif fault == "slow":
            tables.execute(rig, SEEN.format(f"PERFORM pg_sleep({SLOW}); RETURN $1;"))
            stack.callback(tables.execute, rig, SEEN.format("RETURN $1;"))
        elif fault == "locked":
            stack.enter_context(rig.database.begin()).exec_driver_sql(f"LOCK TABLE {S}.ill")
        elif fault == "silent":
            url = stack.enter_context(Silent(url)).url
        yield {"elastic_url": url}
