"""What the benchmarks measure is what they say: each profile, with tiny numbers, on real servers."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
import pytest
from benchmarks import (
    bare,
    base,
    check,
    comparing,
    nested,
    operations,
    peers,
    pgsync,
    projections,
    report,
    rows,
    scale,
    shapes,
    shop,
    steps,
    stream,
    workers,
    writer,
)
from benchmarks.command import OTHERS
from benchmarks.delay import delayed
from benchmarks.rows import Past, databases
from elasticsearch import Elasticsearch
from tools import scaling

from outboxctl.core.database import Database
from outboxctl.domain.clock import Deadline
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.drills.bench.figure import BenchFigure
from outboxctl.drills.bench.rig import SERVERS, Rig
from outboxctl.settings import Settings
from outboxctl.sink.index import index_setup
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
@pytest.mark.parametrize(
    ("name", "states", "documents"),
    [("refused", {"done": 38, "failed": 2}, 38), ("deletes", {"done": EVENTS}, 0)],
)
def test_an_operation_ends_as_it_says(
    rig: Rig,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    name: str,
    states: dict[str, int],
    documents: int,
) -> None:
    assert operations.rate(rig, name, EVENTS, 10) > 0
    assert dict(sql.execute(STATES).fetchall()) == states
    engine.indices.refresh(index=rig.settings.elastic_index)
    assert engine.count(index=rig.settings.elastic_index)["count"] == documents


@pytest.mark.real_engine
@pytest.mark.slow(reason="starts a dozen commands")
def test_a_comparison_is_measured_beside_what_reading_costs(rig: Rig) -> None:
    clocks = dict.fromkeys(SERVERS, perf_counter)
    given = Namespace(entities=EVENTS, bytes=600, repeat=1)
    section = comparing.run(replace(rig, cpu=clocks), given)
    values = {figure.name: figure.values for figure in section.figures}
    assert all(len(each) == 1 for each in values.values())
    assert values["in full"][0] > values["bound"][0] > 0


@pytest.mark.parametrize(
    ("kind", "attempts", "requests"), [("fresh", 1, 1), ("reclaimed", 2, 1), ("alone", 1, 6)]
)
def test_what_a_dead_worker_held_is_delivered_as_its_kind_says(
    rig: Rig, sql: psycopg.Connection, kind: str, attempts: int, requests: int
) -> None:
    assert operations.seconds(rig, kind, 6, 10) > 0
    assert sql.execute(STATES).fetchall() == [("done", 6)]
    assert sql.execute("SELECT DISTINCT attempts FROM search_outbox_events").fetchall() == [(attempts,)]
    moments = sql.execute("SELECT count(DISTINCT processed_at) FROM search_outbox_events").fetchone()
    assert moments == (requests,), "a settle a batch"


def test_all_events_of_hot_entities_are_theirs(rig: Rig, sql: psycopg.Connection) -> None:
    rows.entities(rig, operations.HOT + 5, 10)
    operations.OPERATIONS["hot"](rig, 2 * operations.HOT)
    counts = sql.execute("SELECT count(*), count(DISTINCT entity_id) FROM search_outbox_events").fetchone()
    assert counts == (2 * operations.HOT, operations.HOT)


def test_a_claim_is_taken_back(rig: Rig, sql: psycopg.Connection) -> None:
    rows.entities(rig, shapes.CLAIM_SIZE, 10)
    rows.burst(rig, shapes.CLAIM_SIZE)
    assert shapes.claim_ms(rig) > 0
    assert sql.execute(STATES).fetchall() == [("pending", shapes.CLAIM_SIZE)]
    assert sql.execute("SELECT max(attempts) FROM search_outbox_events").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("past", "states"),
    [
        (Past(), {}),
        (Past(rows=100), {"done": 100}),
        (Past(rows=100, random=True), {"done": 100}),
        (Past("pending", 2 * EVENTS), {"pending": 2 * EVENTS}),
        (Past("waiting", 100), {"pending": 100}),
        (Past("failed", 100), {"failed": 100}),
    ],
    ids=lambda value: f"{value.kind}-{value.rows}-{value.random}" if isinstance(value, Past) else "",
)
def test_a_past_holds_what_it_says_and_goes(
    rig: Rig, sql: psycopg.Connection, past: Past, states: dict[str, int]
) -> None:
    with databases(rig, {"it": past}, EVENTS, 10) as rigs:
        url = rigs["it"].settings.require_database_url()
        with psycopg.connect(url.replace("+psycopg", "")) as there:
            assert dict(there.execute(STATES).fetchall()) == states
            due = "SELECT count(*) FROM search_outbox_events WHERE next_retry_at > now()"
            assert there.execute(due).fetchone() == (100 if past.kind == "waiting" else 0,)
    name = url.rpartition("/")[2]
    assert sql.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall() == []


def test_the_keys_behind_a_change_are_expanded_alone(rig: Rig, sql: psycopg.Connection) -> None:
    projections._declare(rig)
    try:
        assert projections._expanded(rig, EVENTS, 10) > 0
    finally:
        index_setup.remove(rig.client, projections._index(rig))
    states = "SELECT status, count(*), count(follow), count(DISTINCT entity_key) FROM search_outbox_events"
    assert sql.execute(f"{states} GROUP BY 1").fetchall() == [("done", EVENTS + 1, 1, EVENTS + 1)]


def test_lanes_are_timed_until_so_many_events_are_delivered(rig: Rig, sql: psycopg.Connection) -> None:
    rows.entities(rig, EVENTS, 10)
    rows.burst(rig, EVENTS)
    assert shapes.drain(rig, EVENTS) > 0
    assert sql.execute(STATES).fetchall() == [("done", EVENTS)]


def test_counting_says_when_enough_was_delivered() -> None:
    class Taking:
        def deliver(self, actions: Any, *, deadline: Any) -> Any:  # noqa: ARG002
            return actions

    sink = shapes.CountingSink(Taking(), 3)  # type: ignore[arg-type]
    for enough in (False, True, True):
        sink.deliver([1, 2], deadline=Deadline.within(1.0))  # type: ignore[list-item]
        assert sink.enough.is_set() is enough


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_workers_share_what_is_pending(rig: Rig, sql: psycopg.Connection) -> None:
    rows.entities(rig, EVENTS, 10)
    for variant in (workers.Variant("two", 2, real=False), workers.Variant("one", 1, real=True)):
        assert workers.measure(rig, variant, EVENTS).rate > 0
        assert sql.execute(STATES).fetchall() == [("done", workers.ROUNDS * EVENTS)]


@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_workers_that_are_away_go_through_the_delay(rig: Rig, sql: psycopg.Connection) -> None:
    rows.entities(rig, EVENTS, 10)
    run = scale.measure(rig, scale.Away("10 ms", (10, 10), workers=2, bulk_size=5), EVENTS)
    assert sql.execute(STATES).fetchall() == [("done", workers.ROUNDS * EVENTS)]
    assert run.cpu["proxies"] > 0 < run.wal
    batches, lanes = workers.ROUNDS * EVENTS / 5, 2 * rig.settings.concurrency
    assert workers.ROUNDS * EVENTS / run.rate > batches / lanes * 0.04, "four round trips a batch"


@pytest.mark.real_engine
def test_the_section_of_delays_has_what_the_page_on_scaling_shows(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_rig: Rig, away: scale.Away, _entities: int) -> scale.AwayRun:
        return scale.AwayRun(1_000.0 * away.workers, dict.fromkeys(scale.WHO, 2.0), 300.0)

    monkeypatch.setattr(scale, "measure", measure)
    section = scale.run(rig, Namespace(events=EVENTS, bytes=600, repeat=2))
    found = {figure.name: figure.values for figure in section.figures}
    assert len(found) == len(section.figures), "no name twice"
    wanted = {str(away) for _, away, _ in scaling.DELAYS}
    wanted |= {scale.ratio_name(away, than) for _, away, than in scaling.DELAYS if than}
    assert wanted | {scale.WAL, OTHERS} <= set(found)
    assert found["5 ms, two workers / one worker"] == [2.0, 2.0]
    assert found["2 and 5 ms / 0 ms"] == [1.0, 1.0]
    (target,) = (each for each in report.TARGETS if each.section == section.title)
    assert target.figure in found


def test_a_delay_is_that_of_a_round_trip_and_keeps_what_it_carries(url: str) -> None:
    with delayed(url, 0.03) as proxy, psycopg.connect(proxy.url(url), autocommit=True) as sql:
        begun = perf_counter()
        for _ in range(5):
            sql.execute("SELECT 1")
        assert perf_counter() - begun >= 5 * 0.03
        text = sql.execute("SELECT string_agg(n::text, ',') FROM generate_series(1, 200000) n").fetchone()
    assert text == (",".join(map(str, range(1, 200_001))),)


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
    index = nested.index_of(rig)
    values = nested.measured(rig, "outboxctl", index, nested.outboxctl(rig), parents)
    assert sql.execute(f"SELECT min(revision) FROM {shop.SCHEMA}.parts WHERE id < {shop.NEW}").fetchone() == (
        2,
    )
    assert values["outboxctl: updates"] > 0 < values["outboxctl: lag"]
    assert {value for name, value in values.items() if "wrong" in name} == {0}
    assert sum("wrong" in name for name in values) == 3 + len(shop.CASES)
    assert sql.execute(f"SELECT count(*) FROM {shop.SCHEMA}.documents").fetchone() == (parents + 3,)
    index_setup.remove(rig.client, index)


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
    rows.entities(rig, EVENTS, 100)
    for events in (False, True):
        began, ended = peers.updated(rig, 100, events=events)
        assert began < ended
        assert sql.execute("SELECT DISTINCT event_version FROM search_index").fetchall() == [(2,)]
        states = {"pending": EVENTS} if events else {}
        assert dict(sql.execute(STATES).fetchall()) == states


@pytest.mark.real_engine
def test_the_steps_of_a_lone_event_are_all_of_its_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writer, steps, bare):
        monkeypatch.setattr(module, "WARM_UP", 0)
    monkeypatch.setattr(steps, "BARE", 3)
    figures = steps.run(rig, 0.2)
    # A notification may arrive before its writer has read the answer to the commit: it has no lower bound.
    lasting = [step for step in bare.STEPS if step != "notification"]
    parts = [f"lone event: {kind}" for kind in (*lasting, "between")]
    assert all(figures[name] > 0 for name in (*parts, *(f"bare: {step}" for step in bare.STEPS)))
    events = steps._delivered(rig, 0.2)
    assert all(sum(event[1:-1]) == pytest.approx(event[-1]) for event in events)
    assert figures[steps.RATIO] > 0


@pytest.mark.slow(reason="S, P and E three times each, for two workers")
@pytest.mark.real_engine
def test_the_check_finds_a_worker_that_became_slower(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ratio() -> list[BenchFigure]:
        return [base.named(base.repeated(rig, 500, 300, 1), "ratio")]

    then = {figure.name: figure for figure in ratio()}
    folder = tmp_path / "slowed"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLOWED)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert check.judged(then, ratio()) is ExitCode.FINDINGS
