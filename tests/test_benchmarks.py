"""What the benchmarks measure is what they say: each profile, with tiny numbers, on real servers."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import psycopg
import pytest
from benchmarks import (
    nested,
    pgsync,
    report,
    shop,
)
from benchmarks.__main__ import PROFILES
from benchmarks.figure import BenchFigure
from benchmarks.rig import SERVERS, Rig
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.domain.errors import ExitCode, UsageError
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect


@pytest.fixture
def rig(settings: Settings, db: Database, tmp_path: Path) -> Iterator[Rig]:
    with closing(connect(settings)) as client:
        yield Rig(settings, db, client, tmp_path)


def measured(rig: Rig, profile: str, **given: object) -> dict[str, BenchFigure]:
    """The figures of a profile by name; those that have a bound are among them."""
    run, options = PROFILES[profile]
    section = run(rig, Namespace(**{**options, **given}))
    figures = {figure.name: figure for figure in section.figures}
    assert len(figures) == len(section.figures), "no name twice"
    assert {bound.figure for bound in report.BOUNDS if bound.section == section.title} <= figures.keys()
    return figures


LITTLE: dict[str, dict[str, object]] = {
    "pipeline": {"events": 40, "backlog": 9},
    "fill": {"rows": 3_000},
    "ends": {"documents": 300},
    "verify": {"entities": 40},
    "isolation": {"backlog": 50, "faults": "alone,dead", "policies": "count", "seconds": 1.0},
    "follow-writers": {"writes": 200, "large": 10, "single": 20, "cpu": 20},
    "follow-fan-out": {"documents": 3_000},
    "unchanged": {"documents": 300, "repeat": 1},
    "tenants": {"schemas": 2, "seconds": 2.0},
}


@pytest.mark.real_engine
@pytest.mark.slow(reason="measures for as long as a benchmark must, with real workers")
@pytest.mark.parametrize("profile", LITTLE)
def test_each_figure_of_a_profile_is_measured_and_those_with_a_bound_are_among_them(
    rig: Rig, profile: str
) -> None:
    clocks = dict.fromkeys(SERVERS, perf_counter)
    figures = measured(replace(rig, cpu=clocks), profile, **LITTLE[profile] | {"repeat": 1})
    assert all(figure.values for figure in figures.values())
    # So few rows may cost a backend no tick of its clock.
    rates = [f for name, f in figures.items() if name.endswith(("/s", "with/bare")) and "CPU" not in name]
    assert all(figure.values[0] > 0 for figure in rates)


@pytest.mark.real_engine
@pytest.mark.slow(reason="measures for as long as a benchmark must")
def test_nested_documents_are_filled_updated_and_right(
    rig: Rig, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "QUIET", 2.0)
    parents = 48
    args = Namespace(parents=parents, updates=5 * parents, transactions=60)
    values = nested.measured(rig, nested.outboxctl(rig), args)
    of_updates = f"SELECT min(revision) FROM {shop.SCHEMA}.parts WHERE id <= {shop.PARTS * parents // 4}"
    assert sql.execute(of_updates).fetchone() == (2,)
    assert values["outboxctl: updates"] > 0 < values["outboxctl: lag"]
    assert {value for name, value in values.items() if "wrong" in name} == {0}
    assert sum("wrong" in name for name in values) == 7 + len(shop.CASES)


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
    assert shop.differences(rig, index) == {"missing": {2}, "extra": {9}, "other": {rows[3]["id"]}}


@pytest.mark.no_servers
@pytest.mark.parametrize("name", ["pgsync", "redis"])
def test_a_program_that_is_missing_is_named_before_anything_starts(name: str) -> None:
    flags = {"pgsync": "true", "redis": "true"} | {name: "/nowhere/it"}
    with pytest.raises(UsageError, match="/nowhere/it is not there") as caught:
        pgsync.prepare(Namespace(**flags))
    assert caught.value.exit_code is ExitCode.USAGE
    assert f"--{name} " in caught.value.hint
