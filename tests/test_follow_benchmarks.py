"""What `python -m benchmarks --profiles follow` measures is what it says: each part, with tiny numbers."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from benchmarks import (
    follow_beside,
    follow_peers,
    follow_rate,
    follow_stream,
    follow_writers,
    nested,
    report,
    shop,
    tables,
)
from benchmarks.__main__ import PROFILES
from benchmarks.figure import BenchFigure
from benchmarks.rig import Rig

from outboxctl.core.database import Database
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect

pytestmark = [
    pytest.mark.real_engine,
    pytest.mark.slow(reason="measures for as long as a benchmark must, with real workers"),
]


@pytest.fixture
def rig(settings: Settings, db: Database, tmp_path: Path) -> Iterator[Rig]:
    with closing(connect(settings)) as client:
        yield Rig(settings, db, client, tmp_path)


def measured(rig: Rig, profile: str) -> dict[str, BenchFigure]:
    """The figures of a profile's `--quick` form by name; its targets are among them."""
    run, options, quick = PROFILES[profile]
    section = run(rig, Namespace(**{**options, **quick}))
    figures = {figure.name: figure for figure in section.figures}
    assert len(figures) == len(section.figures), "no name twice"
    wanted = {target.figure for target in report.TARGETS if target.section == section.title}
    assert wanted, "what is measured has a goal"
    assert wanted <= figures.keys()
    return figures


def test_follow_events_are_counted_and_documents_waited_for_until_all_are_right(rig: Rig) -> None:
    figures = measured(rig, "follow-rate")
    assert all(figures[name].values[0] > 0 for name in (follow_rate.FEW, follow_rate.MANY, follow_rate.ALONE))
    assert figures[follow_rate.LATE].values == [0]
    assert 0 < figures[follow_rate.RIGHT].values[0] < follow_rate.PATIENCE


def test_the_lag_of_a_stream_is_that_of_each_of_its_documents(rig: Rig) -> None:
    figures = measured(rig, "follow-stream")
    p50, p99, longest = (figures[name].values[0] for name in follow_stream.SHARES)
    assert 0 < p50 <= p99 <= longest < follow_rate.PATIENCE
    assert figures[follow_stream.MISSING].values == [0]


def test_documents_of_one_projection_are_timed_beside_the_other_ones_backlog(rig: Rig) -> None:
    figures = measured(rig, "follow-beside")
    for case in follow_beside.CASES:
        assert 0 < figures[f"{case}: p50"].values[0] <= figures[f"{case}: p99"].values[0]
    assert figures["alone: p99"].values[0] < 1_000 * follow_beside.LONGEST


def test_a_locked_table_and_an_index_away_keep_the_other_projection_waiting(
    rig: Rig, sql: psycopg.Connection
) -> None:
    few = 20
    shop.fill(rig, few, categories=few, parts=0)
    with shop.declared(rig):
        for case, waits in (("locked", few), ("away", 0)):
            follow_beside.latencies(rig, case, few, 1)
            assert tables.number(rig, shop.WAITING) == waits, case
            done = (
                "SELECT count(*) FROM search_outbox_events WHERE entity_type = 'product' AND follow IS NULL"
            )
            assert sql.execute(f"{done} AND status = 'done'").fetchone() == (0,), case


def test_a_writer_is_measured_with_the_triggers_and_without(rig: Rig, sql: psycopg.Connection) -> None:
    figures = measured(rig, "follow-writers")
    assert all(figure.values[0] > 0 for name, figure in figures.items() if name.endswith("with/bare"))
    with follow_writers.declared(rig):
        triggers = "SELECT tgrelid::regclass::text, count(*) FROM pg_trigger GROUP BY 1"
        of_table = {name.rpartition(".")[2]: count for name, count in sql.execute(triggers).fetchall()}
        for kind in follow_writers.KINDS:
            assert of_table[kind] > 0
            assert follow_writers.bare(kind) not in of_table
            follow_writers.large(rig, kind, 3)
            events = "SELECT count(*) FROM search_outbox_events"
            assert sql.execute(events).fetchone() == (6,), "two of each INSERT, none of what is unused"


def test_a_row_with_many_documents_is_expanded_and_delivered(rig: Rig) -> None:
    figures = measured(rig, "follow-fan-out")
    assert all(figure.values[0] > 0 for figure in figures.values() if figure.unit)


def test_changes_of_children_and_of_looked_up_rows_are_found_by_a_search(rig: Rig) -> None:
    shop.fill(rig, 40, categories=40)
    with nested.outboxctl(rig) as (_, running):
        figures = follow_peers.measured(rig, "outboxctl", shop.index_of(rig), running, 40)
    for what in follow_peers.WHAT:
        assert figures[f"outboxctl: {what}, documents that never came"] == 0
        assert figures[f"outboxctl: {what}"] > 0
    names = [*figures, *(name.replace("outboxctl", "pgsync") for name in figures)]
    compared = {figure.name for figure in follow_peers.figures({name: [1.0] for name in names})}
    assert {target.figure for target in report.TARGETS if target.section == report.PEERS} <= compared
