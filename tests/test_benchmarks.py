"""What the benchmarks measure is what they say: each profile, with tiny numbers, on real servers."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import psycopg
import pytest
from benchmarks import (
    check,
    comparing,
    fill,
    lanes,
    nested,
    peers,
    pgsync,
    pipeline,
    projections,
    report,
    shop,
    stream,
    tables,
)
from benchmarks.figure import BenchFigure
from benchmarks.rig import SERVERS, Rig
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

EVENTS = 40
# Loaded by each Python that has its folder on the path: a worker that burns 2 ms for each event.
SLOWED = """
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from time import process_time
import sys


class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "outboxctl.worker.prepare":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        load = spec.loader.exec_module

        def slowed(module):
            load(module)
            prepare = module.prepare

            def burning(batch, *rest):
                end = process_time() + 0.002 * len(batch)
                while process_time() < end:
                    pass
                return prepare(batch, *rest)

            module.prepare = burning

        spec.loader.exec_module = slowed
        return spec


sys.meta_path.insert(0, Slow())
"""
STATES = "SELECT status, count(*) FROM search_outbox_events GROUP BY 1 ORDER BY 1"


@pytest.fixture
def rig(settings: Settings, db: Database, tmp_path: Path) -> Iterator[Rig]:
    with closing(connect(settings)) as client:
        yield Rig(settings, db, client, tmp_path)


@pytest.mark.real_engine
@pytest.mark.slow(reason="starts a dozen commands")
def test_the_pipeline_has_every_figure_that_has_a_target(rig: Rig) -> None:
    clocks = dict.fromkeys(SERVERS, perf_counter)
    section = pipeline.run(replace(rig, cpu=clocks), Namespace(events=EVENTS, bytes=600, backlog=9, repeat=1))
    values = {figure.name: figure.values for figure in section.figures}
    assert {target.figure for target in report.TARGETS if target.section == pipeline.TITLE} <= values.keys()
    assert all(
        each[0] > 0 for name, each in values.items() if name.endswith(("alone", "settle", "end to end"))
    )
    assert values["B: bound"][0] < min(values["S: sink alone"][0], values["P: claim and settle"][0])


@pytest.mark.real_engine
@pytest.mark.slow(reason="starts a dozen commands")
def test_a_first_fill_is_measured_against_both_ends(rig: Rig) -> None:
    section = fill.run(rig, Namespace(rows=3_000, bytes=600, parents=3_000, repeat=1))
    values = {figure.name: figure.values[0] for figure in section.figures}
    assert {target.figure for target in report.TARGETS if target.section == fill.TITLE} <= values.keys()
    assert values["nested: F: filling"] > 0 < values[fill.BOUND]


@pytest.mark.real_engine
@pytest.mark.slow(reason="starts a dozen commands")
def test_a_projection_is_measured_beside_the_built_in_one(rig: Rig) -> None:
    section = projections.run(rig, Namespace(events=EVENTS, bytes=600, repeat=1))
    assert all(figure.values[0] > 0 for figure in section.figures[:3])


@pytest.mark.real_engine
def test_the_keys_behind_a_change_are_expanded_alone(rig: Rig, sql: psycopg.Connection) -> None:
    shop.fill(rig, EVENTS, categories=1, parts=0)
    with shop.declared(rig):
        shop.rename(rig, 1)
        assert lanes.expanded_alone(rig, 60.0) > 0
    states = "SELECT status, count(*), count(follow), count(DISTINCT entity_key) FROM search_outbox_events"
    assert sql.execute(f"{states} GROUP BY 1").fetchall() == [("done", EVENTS + 1, 1, EVENTS + 1)]


@pytest.mark.real_engine
@pytest.mark.slow(reason="starts a dozen commands")
def test_a_comparison_is_measured_beside_what_reading_costs(rig: Rig) -> None:
    clocks = dict.fromkeys(SERVERS, perf_counter)
    given = Namespace(entities=EVENTS, bytes=600, repeat=1)
    section = comparing.run(replace(rig, cpu=clocks), given)
    values = {figure.name: figure.values for figure in section.figures}
    assert all(len(each) == 1 for each in values.values())
    assert values["in full"][0] > values["bound"][0] > 0


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_a_stream_is_one_of_updates_beside_a_worker(rig: Rig, sql: psycopg.Connection) -> None:
    values = stream.beside_a_worker(rig, EVENTS, 10)
    assert sql.execute(STATES).fetchall() == [("done", EVENTS + 1)]
    assert sql.execute("SELECT min(event_version) FROM search_index").fetchall() == [(2,)]
    assert values[stream.LAG] > 0


@pytest.mark.real_engine
@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_nested_documents_are_filled_updated_and_right(
    rig: Rig, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "QUIET", 2.0)
    parents = 48
    shop.fill(rig, parents)
    index = shop.index_of(rig)
    values = nested.measured(rig, "outboxctl", index, nested.outboxctl(rig), parents)
    assert sql.execute(f"SELECT min(revision) FROM {shop.SCHEMA}.parts WHERE id < {shop.NEW}").fetchone() == (
        2,
    )
    assert values["outboxctl: updates"] > 0 < values["outboxctl: lag"]
    assert {value for name, value in values.items() if "wrong" in name} == {0}
    assert sum("wrong" in name for name in values) == 3 + len(shop.CASES)
    assert sql.execute(f"SELECT count(*) FROM {shop.SCHEMA}.documents").fetchone() == (parents + 3,)


@pytest.mark.real_engine
def test_a_nested_document_is_wrong_that_is_missing_extra_or_old(rig: Rig, engine: Elasticsearch) -> None:
    index = f"{rig.settings.elastic_index}-nested"
    engine.indices.create(index=index, mappings=shop.MAPPINGS)
    shop.fill(rig, 5)
    with rig.database.begin() as connection:
        rows = (
            connection.exec_driver_sql(f"SELECT to_jsonb(d) FROM {shop.SCHEMA}.documents d").scalars().all()
        )
    for row in rows:
        row["parts"].reverse()  # their order does not count, and neither do pgsync's keys
        engine.index(index=index, id=str(row["id"]), document=row | {"_meta": {"parts": {"id": [1]}}})
    assert shop.wrong(rig, index) == set()
    engine.delete(index=index, id="2")
    engine.index(index=index, id="9", document=rows[0] | {"id": 9})
    rows[3]["parts"][1]["note"] = "old"
    engine.index(index=index, id=str(rows[3]["id"]), document=rows[3])
    assert shop.wrong(rig, index) == {2, 9, rows[3]["id"]}


@pytest.mark.no_servers
@pytest.mark.parametrize("name", ["pgsync", "redis"])
def test_a_program_that_is_missing_is_named_before_anything_starts(name: str) -> None:
    flags = {"pgsync": "true", "redis": "true"} | {name: "/nowhere/it"}
    with pytest.raises(UsageError, match="/nowhere/it is not there") as caught:
        pgsync.prepare(Namespace(**flags))
    assert caught.value.exit_code is ExitCode.USAGE
    assert f"--{name} " in caught.value.hint


@pytest.mark.real_engine
def test_a_peer_has_every_row_changed_once_and_an_event_with_it_only_for_outboxctl(
    rig: Rig, sql: psycopg.Connection
) -> None:
    tables.entities(rig, EVENTS, 100)
    for events in (False, True):
        began, ended = peers.updated(rig, 100, events=events)
        assert began < ended
        assert sql.execute("SELECT DISTINCT event_version FROM search_index").fetchall() == [(2,)]
        states = {"pending": EVENTS} if events else {}
        assert dict(sql.execute(STATES).fetchall()) == states


@pytest.mark.slow(reason="S, P and E three times each, for two workers")
@pytest.mark.real_engine
def test_the_check_finds_a_worker_that_became_slower(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ratio() -> list[BenchFigure]:
        return [
            each
            for each in pipeline.figures_of(pipeline.repeated(rig, 500, 300, 1, documents=500))
            if each.name == "E/B"
        ]

    then = {figure.name: figure for figure in ratio()}
    folder = tmp_path / "slowed"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLOWED)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert check.judged(then, ratio()) is ExitCode.FINDINGS
