"""A rebuild that fails leaves everything as it was; one that succeeded can be taken back."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes.postgres_proxy import Do, Proxy, postgres_proxy
from processes import Cli
from rebuilding import ROWS, behind, documents, held, indexes, put, rows, said, take_away

pytestmark = pytest.mark.real_engine
REFUSES = {
    "mappings": {"dynamic": False, "properties": {"text": {"type": "long"}, "entity_id": {"type": "keyword"}}}
}
Sql = psycopg.Connection


@pytest.fixture
def strict(tmp_path: Path) -> str:
    """A mapping that refuses every document whose text is no number."""
    path = tmp_path / "strict.json"
    path.write_text(json.dumps(REFUSES))
    return str(path)


def numbers(sql: Sql, total: int, *, bad: int) -> None:
    """Rows whose text is a number, but for some."""
    sql.execute(ROWS, [total])
    sql.execute("UPDATE search_index SET text = '7'")
    sql.execute(
        "UPDATE search_index SET text = 'x\x1b[31m' WHERE id IN (SELECT id FROM search_index LIMIT %s)", [bad]
    )


def test_an_index_that_refuses_documents_is_deleted_and_the_alias_untouched(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, strict: str
) -> None:
    numbers(sql, 50, bad=2)
    done = cli("rebuild", "--yes", "--mapping", strict, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["phase"], report["refused"]) == (4, "aborted", 2)
    assert [each["reason"] for each in report["failures"]] == ["mapping"] * 2
    assert indexes(engine, index) == behind(engine, index) == [f"{index}-000001"]
    for_people = cli("rebuild", "--yes", "--mapping", strict)
    assert "is deleted" in for_people.stdout
    assert "\x1b" not in for_people.stdout
    assert sql.execute("SELECT DISTINCT action FROM outbox_operator_audit").fetchall() == [("rebuild abort",)]


def test_as_told_it_goes_on_without_the_refused_documents(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, strict: str
) -> None:
    numbers(sql, 50, bad=2)
    report = cli.json("rebuild", "--yes", "--mapping", strict, "--allow-failures")
    assert (report["phase"], report["copied"], report["refused"]) == ("done", 48, 2)
    assert documents(engine, index) == {id_: row for id_, row in rows(sql).items() if row[1] == "7"}


def test_an_aborted_one_leaves_nothing(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, strict: str, database_proxy: Proxy
) -> None:
    sql.execute(ROWS, [50])
    with held(cli, database_proxy, "SET body", Do.HOLD_STATEMENT) as (process, _):
        process.kill()
        database_proxy.cut()
    assert "has its mapping already" in cli("rebuild", "--yes", "--mapping", strict).stderr
    assert cli.json("index", "abort", "--dry-run")["new_index"] == f"{index}-000002"
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    cli.ok("index", "abort", "--yes")
    assert indexes(engine, index) == behind(engine, index) == [f"{index}-000001"]
    assert cli("index", "abort", "--yes").returncode == 2


def test_rolled_back_the_old_index_has_what_it_missed(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    same, changed, gone, new = (uuid4() for _ in range(4))
    put(sql, same, changed, gone)
    cli.ok("worker", "--drain")
    assert cli("index", "rollback", "--yes").returncode == 2
    cli.ok("rebuild", "--yes")
    put(sql, changed, new)
    take_away(sql, gone)
    cli.ok("worker", "--drain")
    assert documents(engine, f"{index}-000001") != rows(sql)
    done = cli.json("index", "rollback", "--yes", "--by", "alice", "--reason", "bad analyzer")
    assert (done["action"], done["phase"], done["kept_index"]) == ("rollback", "done", f"{index}-000002")
    assert behind(engine, index) == [f"{index}-000001"]
    assert documents(engine, index) == rows(sql)
    said_so = "SELECT action, operator, reason FROM outbox_operator_audit ORDER BY at DESC LIMIT 1"
    assert sql.execute(said_so).fetchall() == [("rebuild rollback", "alice", "bad analyzer")]


@pytest.mark.parametrize("moment", ["before the swap", "after it"])
def test_an_interrupted_rollback_goes_on_with_the_same_command(
    moment: str, cli: Cli, sql: Sql, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    put(sql, uuid4())
    cli.ok("rebuild", "--yes")
    put(sql, uuid4())
    step = "SET caught_up_to" if moment == "before the swap" else 'INSERT INTO "public".outbox_operator_audit'
    with held(cli, database_proxy, step, Do.HOLD_STATEMENT, command=("index", "rollback")) as (process, _):
        process.kill()
        database_proxy.cut()
    done = cli.json("index", "rollback", "--yes")
    assert (done["action"], done["phase"], done["resumed"]) == ("rollback", "done", True)
    assert behind(engine, index) == [f"{index}-000001"]
    assert documents(engine, index) == rows(sql)


def test_what_was_kept_long_enough_is_deleted_and_nothing_else(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    cli.ok("rebuild", "--yes", "--keep-old", "1h")
    assert cli.json("index", "cleanup", "--dry-run")["deleted"] == []
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    assert cli.json("index", "cleanup", "--dry-run")["deleted"] == [f"{index}-000001"]
    assert len(indexes(engine, index)) == 2
    engine.indices.put_alias(index=f"{index}-000001", name=f"{index}-other")
    left = cli("index", "cleanup", "--yes")
    assert (left.returncode, f"{index}-000001 is left: it is in use" in left.stdout) == (4, True)
    assert len(indexes(engine, index)) == 2
    engine.indices.delete_alias(index=f"{index}-000001", name=f"{index}-other")
    assert cli.json("index", "cleanup", "--yes")["deleted"] == [f"{index}-000001"]
    assert indexes(engine, index) == behind(engine, index) == [f"{index}-000002"]


def test_a_concrete_index_becomes_an_alias_and_is_kept_under_another_name(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    name = f"{index}-concrete"
    cli = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
    engine.indices.create(index=name, mappings={"dynamic": False}, aliases={f"{name}-read": {}})
    kept, new = uuid4(), uuid4()
    put(sql, kept)
    cli.ok("worker", "--drain")
    done = cli.json("rebuild", "--yes")
    assert (done["old_index"], done["new_index"]) == (f"{name}-000001", f"{name}-000002")
    assert behind(engine, name) == behind(engine, f"{name}-read") == [f"{name}-000002"]
    put(sql, new)
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)
    assert set(documents(engine, f"{name}-000001")) == {f"block:{kept}"}
    cli.ok("index", "rollback", "--yes")
    assert behind(engine, name) == [f"{name}-000001"]
    put(sql, kept)  # the kept copy takes writes
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)


@pytest.mark.slow(reason="a rebuild that is killed, or takes turns with workers")
@pytest.mark.parametrize("end", [("rebuild",), ("index", "abort")])
def test_killed_while_a_concrete_index_takes_no_writes(
    end: tuple[str, ...], cli: Cli, sql: Sql, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    name = f"{index}-concrete"
    cli = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
    engine.indices.create(index=name)
    put(sql, uuid4())
    with held(cli, database_proxy, "COMMIT", Do.HOLD_ANSWER, "SET swapped_at") as (process, _):
        process.kill()
        database_proxy.cut()
    (row,) = sql.execute("SELECT id::text FROM outbox_rebuilds").fetchall()
    engine.indices.put_mapping(index=name, meta={"outboxctl_rebuild": row[0]})  # as far as it may have come
    engine.indices.add_block(index=name, block="write")
    engine.indices.clone(index=name, target=f"{name}-000001", settings={"index.blocks.write": None})
    cli.ok(*end, "--yes")
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)
    assert indexes(engine, name) == ([name] if "abort" in end else [f"{name}-000001", f"{name}-000002"])


def test_where_there_is_no_index_one_is_made(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    sql.execute(ROWS, [50])
    name = f"{index}-none"
    template: dict[str, Any] = {"aliases": {name: {}}}  # puts the index behind the alias before it is filled
    engine.indices.put_index_template(
        name=name, index_patterns=[f"{name}-*"], template=template, priority=900
    )
    try:
        with postgres_proxy(url) as proxy:
            away = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
            with held(away, proxy, "SET body", Do.HOLD_STATEMENT) as (process, rule):
                assert not engine.indices.exists_alias(name=name)
                rule.released.set()
                done = said(process)[1]
    finally:
        engine.indices.delete_index_template(name=name)
    assert (done["old_index"], done["kept_index"]) == (None, None)
    assert behind(engine, name) == [f"{name}-000001"]
    assert documents(engine, name) == rows(sql)
    mapping = engine.indices.get_mapping(index=name)[f"{name}-000001"]["mappings"]
    assert mapping["properties"]["entity_id"]["type"] == "keyword"


def test_mapping_settings_and_all_aliases_are_kept(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    old, new = f"{index}-000001", f"{index}-000002"
    engine.indices.put_alias(index=old, name=f"{index}-blocks", filter={"term": {"entity_type": "block"}})
    engine.indices.put_settings(index=old, settings={"refresh_interval": "5s", "number_of_replicas": 1})
    engine.indices.put_mapping(index=old, properties={"rank": {"type": "alias", "path": "rank_score"}})
    sql.execute(ROWS, [30])
    cli.ok("rebuild", "--yes")
    assert behind(engine, f"{index}-blocks") == [new]
    assert len(documents(engine, f"{index}-blocks")) == 20
    settings = engine.indices.get_settings(index=new)[new]["settings"]["index"]
    assert (settings["refresh_interval"], settings["number_of_replicas"]) == ("5s", "1")
    assert settings["gc_deletes"] == "1h"
    assert "rank" in engine.indices.get_mapping(index=new)[new]["mappings"]["properties"]
    cli.ok("rebuild", "--yes", "--mapping", "default")
    third = f"{index}-000003"
    assert "rank" not in engine.indices.get_mapping(index=third)[third]["mappings"]["properties"]


def test_a_dry_run_and_a_refusal_change_nothing(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    sql.execute(ROWS, [30])
    planned = cli.json("rebuild", "--dry-run")
    said = cli.ok("rebuild", "--dry-run")
    assert f"{index}-000002" in said
    assert not {"concrete", "resumes", "dry_run", "True", "False"} & set(said.split()), "in words"
    assert (planned["new_index"], planned["entities"]) == (f"{index}-000002", 30)
    bad = tmp_path / "bad.json"
    bad.write_text('{"mappings": {"properties": {"text": {"type": "nonsense"}}}}')
    for args in (
        [],
        ["--yes", "--mapping", str(bad)],
    ):
        done = cli("rebuild", *args)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
    assert indexes(engine, index) == [f"{index}-000001"]
    assert sql.execute("SELECT DISTINCT phase FROM outbox_rebuilds").fetchall() == [("aborted",)]
