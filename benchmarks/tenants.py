"""One declaration for many schemas: what `apply` takes, an idle worker, and the commands that show them."""

from argparse import Namespace
from time import perf_counter, sleep

import psutil

from benchmarks import processes, tables
from benchmarks.command import collected, figures, say
from benchmarks.processes import BY, serving
from benchmarks.report import Section
from benchmarks.rig import Rig

TITLE = "Tenants"
S = "bench_tenant_"
CHILDREN = [f"child_{number}" for number in range(8)]  # with the root and a looked-up table ten
TABLES = f"""
DROP SCHEMA IF EXISTS {S}{{0}} CASCADE; CREATE SCHEMA {S}{{0}};
CREATE TABLE {S}{{0}}.categories (id int PRIMARY KEY, name text);
CREATE TABLE {S}{{0}}.products (id bigint PRIMARY KEY, name text, category_id int);
CREATE INDEX ON {S}{{0}}.products (category_id);
""" + "".join(
    f"""CREATE TABLE {S}{{0}}.{child} (id bigint PRIMARY KEY, product_id bigint, body text);
    CREATE INDEX ON {S}{{0}}.{child} (product_id);"""
    for child in CHILDREN
)
PARTS = ", ".join(
    f"(SELECT json_agg(c.body) FROM {{schema}}.{child} c WHERE c.product_id = p.id) AS {child}"
    for child in CHILDREN
)
DECLARED = f"""
[projections.product]
schemas = ["{S}*"]
root = "{{schema}}.products"
key = "id"
index = "bench-{{schema}}"
mapping = '{{"settings": {{"number_of_shards": 1, "number_of_replicas": 0}}}}'
query = '''SELECT p.id, p.name, c.name AS category, {PARTS}
FROM {{schema}}.products p LEFT JOIN {{schema}}.categories c ON c.id = p.category_id'''
"""
SHOWN = {"status": ("status",), "projection list": ("projection", "list"), "doctor": ("doctor",)}
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
NOTES = """\
- Ten tables a schema: the root, one looked up, eight children; no rows. Commands from their start to their
  exit, with the seconds of CPU of each; between them the worker and PostgreSQL while nothing is written.
- The engine has an index with one shard and no copy for each schema.
"""


def run(rig: Rig, args: Namespace) -> Section:
    """So many schemas, once a repetition."""
    values = collected(rig, args.repeat, lambda _: _measured(rig, args.schemas, args.seconds))
    return Section(TITLE, f"{args.schemas:,} schemas of ten tables.", figures(values, _unit), NOTES)


def _unit(name: str) -> str:
    return "cores" if "idle" in name else "" if name == "transactions/s" else "s"


def _measured(rig: Rig, schemas: int, seconds: float) -> dict[str, float]:
    tables.reset(rig)
    for number in range(schemas):
        tables.execute(rig, TABLES.format(f"{number:04}"))
    say(f"{schemas:,} schemas are there")
    file = rig.folder / "tenants.toml"
    file.write_text(DECLARED)
    found = dict[str, float]()
    for each in ("first apply", "apply again"):
        found |= _costs(rig, each, "projection", "apply", str(file), *BY)
    with serving(rig) as worker:
        sleep(seconds / 4)
        process, began, commits = psutil.Process(worker.pid), perf_counter(), tables.number(rig, COMMITS)
        spent = sum(process.cpu_times()[:2]), rig.cpu_seconds("postgres")
        sleep(seconds)
        took = perf_counter() - began
        found["idle worker"] = (sum(process.cpu_times()[:2]) - spent[0]) / took
        found["idle PostgreSQL"] = (rig.cpu_seconds("postgres") - spent[1]) / took
        found["transactions/s"] = (tables.number(rig, COMMITS) - commits) / took
        for name, words in SHOWN.items():
            found |= _costs(rig, name, *words)
    return found


def _costs(rig: Rig, name: str, *words: str) -> dict[str, float]:
    """Seconds of a command from its start to its exit, and of CPU: its own, and PostgreSQL's."""
    ran = processes.run(rig, *words)
    say(f"{name}: {ran.wall:.1f} s")
    return {name: ran.wall, f"{name}, CPU": ran.worker, f"{name}, CPU of PostgreSQL": ran.postgres}
