"""One odd row has its own fate only: its neighbours are delivered, the commands keep working."""

import json
import uuid
from collections.abc import Callable

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli, Worker, eventually

TEXTS = [
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "[/nope] [bold]x[/bold] [link=file:///etc/passwd]y",
    "emoji \U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202e right to left",
    "x" * 1_000_000,
    "</script><!-- <![CDATA[",
    "\"quotes\" 'single' \\back\\slash\\\\ \\u0041 \\n",
    '{"index":{"_id":"other"}}\n{"text":"smuggled"}\n',
    "line one\nline two\r\nline three\ttab\u2028separator\u2029paragraph\u0085next",
    "\ufeffbom \ufffe \uffff \x01\x02\x7f",
    "",
    "%s %(name)s {0} {name} $1 :name ${x} `whoami`",
]
KINDS = [
    "quo\"te's",
    "back\\slash",
    "\u4e2d\u6587 \U0001f600",
    "new\nline",
    "tab\t\x01\x1b[31m",
    "a:b/c?d#e%20",
    "",
    " ",
    "[/nope]",
    "\U0001f600" * 50,
]


@pytest.mark.real_engine
def test_hostile_texts_arrive_unchanged(cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str) -> None:
    entities = [lab.put(sql, text=text, snippet=text[:200])[0] for text in TEXTS]
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": len(TEXTS)}
    for entity, text in zip(entities, TEXTS, strict=True):
        held = lab.document(engine, index, entity)
        assert (held["text"] == text, held["snippet"] == text[:200]) == (True, True), text[:60]


@pytest.mark.real_engine
def test_the_document_holds_every_column_of_the_source_row(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    library = uuid.uuid4()
    entity, _ = lab.put(sql, version=9007199254740993, library_id=library, rank_score=0.1, text=None)
    cli.ok("worker", "--drain")
    held = lab.document(engine, index, entity)
    row = lab.rows(sql, "SELECT * FROM search_index")[0]
    assert set(held) == set(row)
    assert (held["id"], held["entity_id"], held["library_id"]) == (str(row["id"]), str(entity), str(library))
    assert (held["event_version"], held["rank_score"], held["text"]) == (9007199254740993, 0.1, None)


@pytest.mark.real_engine
def test_hostile_entity_types_work_or_fail_alone(
    sql: lab.Sql, worker: Callable[..., Worker], cli: Cli, engine: Elasticsearch, index: str
) -> None:
    made = [(kind, *lab.put(sql, kind=kind)) for kind in KINDS]
    _, neighbour = lab.put(sql)
    running = worker()
    eventually(lambda: set(lab.by_status(sql)) <= {"done", "failed"})
    assert lab.event_row(sql, neighbour)["status"] == "done"
    for kind, entity, event in made:
        if lab.event_row(sql, event)["status"] == "done":
            assert lab.document(engine, index, entity, kind) is not None, kind
    assert lab.one(sql, "SELECT max(attempts) FROM search_outbox_events") == 1
    lab.assert_clean(sql)
    sql.execute(
        "UPDATE search_outbox_events SET status = 'pending', processed_at = NULL, attempts = 0, "
        "error_reason = '[/nope]', next_retry_at = 'infinity'"
    )
    for command in ("status", "oldest"):
        assert "\x1b]" not in cli.ok(command)
    assert "Traceback" not in running.log.read_text()


def test_impossible_dates_do_not_stop_the_worker_or_the_commands(
    cli: Cli, sql: lab.Sql, worker: Callable[..., Worker]
) -> None:
    moments = ["-infinity", "infinity", "20000-01-01", "4000-01-01 BC", "290000-01-01"]
    entities = []
    for moment in moments:
        entity, event = lab.put(sql)
        sql.execute("UPDATE search_index SET created_at = %s, updated_at = %s", [moment, moment])
        sql.execute(
            "UPDATE search_outbox_events SET created_at = %s, updated_at = %s WHERE id = %s",
            [moment, moment, event],
        )
        entities.append(entity)
    stuck = lab.event(sql, entities[0], status="processing", created="-infinity")
    sql.execute(
        "UPDATE search_outbox_events SET lease_until = '-infinity', owner = 'x', "
        "processing_started_at = '-infinity' WHERE id = %s",
        [stuck],
    )
    retry = lab.event(sql, entities[0], created="infinity")
    sql.execute("UPDATE search_outbox_events SET next_retry_at = '-infinity' WHERE id = %s", [retry])
    seen = cli.json("status")
    assert (seen["lag"], seen["stuck"]) == (7, 1)
    assert len(seen["oldest_pending"]) == 5
    json.dumps(seen["oldest_age_seconds"], allow_nan=False)
    assert len(cli.json("oldest")["events"]) == 6
    assert [each["id"] for each in cli.json("stuck")["events"]] == [str(stuck)]
    for command in ("status", "oldest", "stuck"):
        cli.ok(command)
    running = worker(OUTBOX_RECLAIM_INTERVAL_SECONDS="0.2")
    eventually(lambda: not (set(lab.by_status(sql)) - {"done", "failed"}), what=str(lab.by_status(sql)))
    assert running.get("/healthz")[0] == 200
    assert "Traceback" not in running.log.read_text()
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed', processed_at = NULL, "
        "last_replayed_at = 'infinity'"
    )
    assert cli.json("replay", "--by", "a", "--reason", "b")["matched"] == 7
