"""A rebuild that fails leaves everything as it was; one that succeeded can be taken back."""

import json
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes.postgres_proxy import Do, postgres_proxy
from outboxctl.core.database import Database
from outboxctl.core.operator import rebuilds
from outboxctl.domain.errors import UnreachableError, UsageError
from outboxctl.operations.rebuild.filling import heal
from outboxctl.operations.rebuild.model import RebuildInterrupted, Tools
from outboxctl.operations.rebuild.move import swap
from processes import Cli
from rebuilding import ROWS, behind, documents, held, indexes, put, rows, said, take_away
from sinks import client_of

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


def test_kept_as_told_it_goes_on_without_the_refused_documents(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, strict: str
) -> None:
    numbers(sql, 50, bad=2)
    assert cli("rebuild", "--yes", "--mapping", strict, "--keep-failed").returncode == 4
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    assert behind(engine, index) == [f"{index}-000001"]
    assert "has its mapping already" in cli("rebuild", "--yes", "--mapping", "default").stderr
    report = cli.json("rebuild", "--yes", "--allow-failures")
    assert (report["phase"], report["copied"], report["refused"]) == ("done", 48, 2)
    assert documents(engine, index) == {id_: row for id_, row in rows(sql).items() if row[1] == "7"}


def test_an_aborted_one_leaves_nothing(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    sql.execute(ROWS, [50])
    with postgres_proxy(url) as proxy, held(cli, proxy, "SET cursor_type", Do.HOLD_STATEMENT) as (process, _):
        process.kill()
        proxy.cut()
    assert cli.json("rebuild", "--abort", "--dry-run")["new_index"] == f"{index}-000002"
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    cli.ok("rebuild", "--abort", "--yes")
    assert indexes(engine, index) == behind(engine, index) == [f"{index}-000001"]
    assert cli("rebuild", "--abort", "--yes").returncode == 2


def test_one_whose_new_index_was_deleted_says_how_to_end_it(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    sql.execute(ROWS, [50])
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "SET caught_up_to", Do.HOLD_STATEMENT) as (process, _),
    ):
        process.kill()
        proxy.cut()
    sql.execute("UPDATE outbox_rebuilds SET phase = 'fill', cursor_type = NULL, cursor_id = NULL")
    engine.indices.delete(index=f"{index}-000002")
    done = cli("rebuild", "--yes")
    assert (done.returncode, "is gone" in done.stderr, "--abort" in done.stderr) == (3, True, True), done
    assert cli.json("rebuild", "--abort", "--yes")["deleted"] == []
    assert indexes(engine, index) == [f"{index}-000001"]


def test_rolled_back_the_old_index_has_what_it_missed(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    same, changed, gone, new = (uuid4() for _ in range(4))
    put(sql, same, changed, gone)
    cli.ok("worker", "--drain")
    assert cli("rebuild", "--rollback", "--yes").returncode == 2
    cli.ok("rebuild", "--yes")
    put(sql, changed, new)
    take_away(sql, gone)
    cli.ok("worker", "--drain")
    assert documents(engine, f"{index}-000001") != rows(sql)
    done = cli.json("rebuild", "--rollback", "--yes", "--by", "alice", "--reason", "bad analyzer")
    assert (done["action"], done["phase"], done["kept_index"]) == ("rollback", "done", f"{index}-000002")
    assert behind(engine, index) == [f"{index}-000001"]
    assert documents(engine, index) == rows(sql)
    said_so = "SELECT action, operator, reason FROM outbox_operator_audit ORDER BY at DESC LIMIT 1"
    assert sql.execute(said_so).fetchall() == [("rebuild rollback", "alice", "bad analyzer")]


@pytest.mark.parametrize("moment", ["before the swap", "after it"])
def test_an_interrupted_rollback_goes_on_with_the_same_command(
    moment: str, cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    put(sql, uuid4())
    cli.ok("rebuild", "--yes")
    put(sql, uuid4())
    step = "SET caught_up_to" if moment == "before the swap" else 'INSERT INTO "public".outbox_operator_audit'
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, step, Do.HOLD_STATEMENT, "", "--rollback") as (process, _),
    ):
        process.kill()
        proxy.cut()
    done = cli.json("rebuild", "--rollback", "--yes")
    assert (done["action"], done["phase"], done["resumed"]) == ("rollback", "done", True)
    assert behind(engine, index) == [f"{index}-000001"]
    assert documents(engine, index) == rows(sql)


def test_an_interrupted_rebuild_with_a_mapping_goes_on_with_the_same_command(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str, tmp_path: Path
) -> None:
    sql.execute(ROWS, [50])
    ours, other = tmp_path / "new.json", tmp_path / "other.json"
    mappings = {"_meta": {"ü": 1}, "dynamic": False, "properties": {"entity_id": {"type": "keyword"}}}
    ours.write_text(json.dumps({"mappings": mappings, "settings": {"index": {"refresh_interval": "7s"}}}))
    other.write_text(json.dumps({"mappings": mappings, "settings": {"refresh_interval": "8s"}}))
    args = ("--mapping", str(ours))
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "SET cursor_type", Do.HOLD_STATEMENT, "", *args) as (process, _),
    ):
        process.kill()
        proxy.cut()
    assert "has its mapping already" in cli("rebuild", "--yes", "--mapping", str(other)).stderr
    assert "has its mapping already" in cli("rebuild", "--yes", "--mapping", "default").stderr
    assert cli.json("rebuild", "--yes", *args)["resumed"] is True
    assert documents(engine, index) == rows(sql)


def test_what_was_kept_long_enough_is_deleted_and_nothing_else(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    cli.ok("rebuild", "--yes", "--keep-old", "1h")
    assert cli.json("rebuild", "--cleanup", "--dry-run")["deleted"] == []
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    assert cli.json("rebuild", "--cleanup", "--dry-run")["deleted"] == [f"{index}-000001"]
    assert len(indexes(engine, index)) == 2
    engine.indices.put_alias(index=f"{index}-000001", name=f"{index}-other")
    left = cli("rebuild", "--cleanup", "--yes")
    assert (left.returncode, f"{index}-000001 is left: it is in use" in left.stdout) == (4, True)
    assert len(indexes(engine, index)) == 2
    engine.indices.delete_alias(index=f"{index}-000001", name=f"{index}-other")
    assert cli.json("rebuild", "--cleanup", "--yes")["deleted"] == [f"{index}-000001"]
    assert indexes(engine, index) == behind(engine, index) == [f"{index}-000002"]


def test_what_is_in_use_keeps_nothing_else_from_being_deleted(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    cli.ok("rebuild", "--yes")
    cli.ok("rebuild", "--yes")
    engine.indices.put_alias(index=f"{index}-000001", name=f"{index}-other")
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    done = cli("rebuild", "--cleanup", "--yes", "--json")
    said_so = json.loads(done.stdout)
    assert (done.returncode, said_so["deleted"], [*said_so["left"]]) == (
        4,
        [f"{index}-000002"],
        [f"{index}-000001"],
    )
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000003"]


def test_an_index_that_came_under_the_name_of_a_kept_one_is_not_deleted(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    cli.ok("rebuild", "--yes")
    engine.indices.delete(index=f"{index}-000001")
    engine.indices.create(index=f"{index}-000001")
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    assert cli("rebuild", "--cleanup", "--yes").returncode == 4
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]


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
    cli.ok("rebuild", "--rollback", "--yes")
    assert behind(engine, name) == [f"{name}-000001"]
    put(sql, kept)  # the kept copy takes writes
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)


@pytest.mark.parametrize("end", ["--yes", "--abort"])
def test_killed_while_a_concrete_index_takes_no_writes(
    end: str, cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    name = f"{index}-concrete"
    cli = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
    engine.indices.create(index=name)
    put(sql, uuid4())
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "COMMIT", Do.HOLD_ANSWER, "SET swapped_at") as (process, _),
    ):
        process.kill()
        proxy.cut()
    (row,) = sql.execute("SELECT id::text FROM outbox_rebuilds").fetchall()
    engine.indices.put_mapping(index=name, meta={"outboxctl_rebuild": row[0]})  # as far as it may have come
    engine.indices.add_block(index=name, block="write")
    engine.indices.clone(index=name, target=f"{name}-000001", settings={"index.blocks.write": None})
    cli.ok("rebuild", "--yes", *[end][: end == "--abort"])
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)
    assert indexes(engine, name) == ([name] if end == "--abort" else [f"{name}-000001", f"{name}-000002"])


def test_a_concrete_index_is_not_given_up_without_a_whole_copy(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    name = f"{index}-concrete"
    cli = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
    engine.indices.create(index=name)
    put(sql, uuid4())
    cli.ok("worker", "--drain")
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "COMMIT", Do.HOLD_ANSWER, "SET swapped_at") as (process, rule),
    ):
        engine.indices.create(index=f"{name}-000001")
        rule.released.set()
        code, _, err = said(process)
    assert code == 2
    assert f"{name}-000001, where {name} was to be kept, is somebody else's" in err
    put(sql, uuid4())
    cli.ok("worker", "--drain")
    assert documents(engine, name) == rows(sql)
    assert behind_nothing(engine, name)
    aborted = cli.json("rebuild", "--abort", "--yes")
    assert aborted["deleted"] == [f"{name}-000002"]
    assert indexes(engine, name) == [name, f"{name}-000001"]


def test_a_concrete_index_whose_swap_failed_is_copied_again_with_what_came_since(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str, db: Database
) -> None:
    name = f"{index}-concrete"
    cli = Cli(cli.env | {"ELASTIC_INDEX": name}, cli.cwd)
    engine.indices.create(index=name)
    put(sql, uuid4())
    cli.ok("worker", "--drain")
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, "COMMIT", Do.HOLD_ANSWER, "SET swapped_at") as (process, _),
    ):
        process.kill()
        proxy.cut()
    with db.begin() as held_open, pytest.MonkeyPatch.context() as patch:
        row = rebuilds.active_rebuild(held_open, name)
        assert row
        patch.setattr("outboxctl.sink.index.alias.swap", _away)
        with pytest.raises(UnreachableError, match="away"):
            swap(Tools(db, client_of(engine), held_open, threading.Event()), row)
    assert behind_nothing(engine, name)
    put(sql, uuid4())
    cli.ok("worker", "--drain")
    cli.ok("rebuild", "--yes")
    assert documents(engine, name) == documents(engine, f"{name}-000001") == rows(sql)


def _away(*_: object) -> None:
    raise UnreachableError("away")


def behind_nothing(engine: Elasticsearch, name: str) -> bool:
    """Whether the name is an index, and no alias."""
    return bool(engine.indices.exists(index=name)) and not engine.indices.exists_alias(name=name)


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
            with held(away, proxy, "SET cursor_type", Do.HOLD_STATEMENT) as (process, rule):
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


def test_an_index_that_is_closed_can_be_replaced(
    cli: Cli, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [30])
    engine.indices.close(index=f"{index}-000001")
    cli.ok("rebuild", "--yes")
    assert documents(engine, index) == rows(sql)


def test_an_alias_of_several_indexes_is_refused(cli: Cli, engine: Elasticsearch, index: str) -> None:
    engine.indices.create(index=f"{index}-more", aliases={index: {}})
    done = cli("rebuild", "--yes")
    assert done.returncode == 2
    assert f"{index}-more" in done.stderr


def test_a_comparison_that_was_asked_to_stop_does_not_end_a_rebuild(
    db: Database, engine: Elasticsearch, index: str
) -> None:
    stop = threading.Event()
    stop.set()
    with db.begin() as held, pytest.raises(RebuildInterrupted):
        heal(Tools(db, client_of(engine), held, stop), index)


def test_rows_that_cannot_be_read_do_not_end_a_rebuild_as_if_they_agreed(
    db: Database, sql: Sql, engine: Elasticsearch, index: str
) -> None:
    sql.execute("ALTER TABLE search_index RENAME COLUMN event_version TO other")
    with db.begin() as held, pytest.raises(UsageError):
        heal(Tools(db, client_of(engine), held, threading.Event()), index)
