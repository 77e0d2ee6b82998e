"""A repair touches what differs and nothing else, and says so in the audit."""

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from operations.disaster import Ground
from outboxctl.domain.errors import InconclusiveError
from outboxctl.operations.verify.compare import compare
from outboxctl.operations.verify.model import Difference, Sides
from outboxctl.operations.verify.repair import Repair, Repaired
from outboxctl.operations.verify.survey import survey
from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")
AUDIT = "SELECT * FROM outbox_operator_audit ORDER BY at"


def test_the_row_of_a_deleted_document_is_raised_above_the_tombstone_and_the_audit_says_so(
    cli: Cli, ground: Ground
) -> None:
    one, two = ground.documents()[:2]
    ground.bulk([{"delete": {"_id": one.id}}])
    ground.sql.execute(
        "UPDATE search_index SET event_version = event_version + 1 WHERE entity_id = %s", [two.key[1]]
    )
    before = lab.rows(ground.sql, "SELECT * FROM search_index ORDER BY id")
    done = cli.json("verify", "--repair", *WHO)["repaired"]
    assert (done["enqueued"], done["raised"], done["removed"], done["left"]) == (2, 1, 0, 0)
    changed = [
        row for row in lab.rows(ground.sql, "SELECT * FROM search_index ORDER BY id") if row not in before
    ]
    assert [(str(row["entity_id"]), row["event_version"]) for row in changed] == [
        (one.key[1], one.version + 1)
    ]
    (audit,) = lab.rows(ground.sql, AUDIT)
    events = lab.rows(ground.sql)
    assert set(audit["event_ids"]) == {event["id"] for event in events}
    assert {(e["op"], e["status"], str(e["entity_id"])) for e in events} == {
        ("upsert", "pending", one.key[1]),
        ("upsert", "pending", two.key[1]),
    }
    assert (audit["action"], audit["operator"], audit["reason"], audit["affected"]) == (
        "repair",
        "alice",
        "drill",
        2,
    )
    assert audit["filters"]["raised"] == {one.id: [one.version, one.version + 1]}
    assert (audit["filters"]["missing"], audit["filters"]["stale"]) == (1, 1)
    assert str(audit["act_id"]) == done["act_id"]
    cli.ok("worker", "--drain")
    cli.ok("verify")
    ground.assert_same()


def test_what_no_event_can_name_is_removed_and_audited_with_its_id(cli: Cli, ground: Ground) -> None:
    ground.bulk([{"index": {"_id": "[/nope] \x1b[31m"}}, {"a": 1}])
    seen = cli("verify")
    assert seen.returncode == 4
    assert "\x1b" not in seen.stdout
    assert cli.json("verify", "--repair", *WHO)["repaired"]["removed"] == 1
    (audit,) = lab.rows(ground.sql, AUDIT)
    assert (audit["affected"], audit["event_ids"], audit["filters"]["removed"]) == (
        1,
        [],
        ["[/nope] \x1b[31m"],
    )
    cli.ok("verify")
    cli.ok("audit")


def test_batches_share_an_act_and_stop_between_two(
    ground: Ground,
    sides: Sides,
    repair_all: Callable[[], Repaired],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("outboxctl.operations.verify.repair.BATCH", 3)
    ground.bulk([{"delete": {"_id": one.id}} for one in ground.documents()[:10]])
    differences = list(compare(sides))
    stop, taken = Event(), 0

    def until_two_batches() -> Iterator[Any]:
        nonlocal taken
        for taken, difference in enumerate(differences, 1):
            if taken == 6:
                stop.set()
            yield difference

    repair = Repair(sides, "alice", "drill")
    repair.run(until_two_batches(), stop=stop)
    audits = lab.rows(ground.sql, AUDIT)
    assert [len(audit["event_ids"]) for audit in audits] == [3, 3]
    assert {str(audit["act_id"]) for audit in audits} == {repair.done.act_id}
    assert lab.one(ground.sql, "SELECT count(*) FROM search_outbox_events") == repair.done.enqueued == 6
    assert repair_all().enqueued == 4


def test_a_row_that_somebody_holds_is_left_and_nobody_waits(
    ground: Ground, url: str, repair_all: Callable[[], Repaired]
) -> None:
    one, two = ground.documents()[:2]
    ground.bulk([{"delete": {"_id": one.id}}, {"delete": {"_id": two.id}}])
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM search_index WHERE entity_id = %s FOR UPDATE", [one.key[1]])
        done = repair_all()
    assert (done.enqueued, done.raised, done.left) == (1, 1, 1)
    assert repair_all().enqueued == 1


def test_rows_without_a_usable_version_are_given_one(
    cli: Cli, ground: Ground, repair_all: Callable[[], Repaired]
) -> None:
    one, two, three = (victim.key[1] for victim in ground.documents()[:3])
    ground.bulk([{"delete": {"_id": ground.documents()[0].id}}])
    ground.sql.execute(
        "UPDATE search_index SET event_version = NULL WHERE entity_id = ANY (%s)", [[one, two]]
    )
    ground.sql.execute("UPDATE search_index SET event_version = -7 WHERE entity_id = %s", [three])
    done = repair_all()
    assert (done.enqueued, done.raised, done.left) == (3, 3, 0)
    cli.ok("worker", "--drain")
    cli.ok("verify")
    ground.assert_same()


def test_a_document_written_again_meanwhile_is_not_removed(ground: Ground, sides: Sides) -> None:
    ground.bulk([{"index": {"_id": "foreign"}}, {"a": 1}])
    differences = list(compare(sides))
    ground.bulk([{"index": {"_id": "foreign"}}, {"a": 2}])
    repair = Repair(sides, "alice", "drill", remove_foreign=True)
    repair.run(differences, stop=Event())
    assert (repair.done.removed, repair.done.left) == (0, 1)
    assert ground.engine.exists(index=ground.index, id="foreign")
    assert lab.rows(ground.sql, AUDIT) == []


def test_a_row_that_is_back_keeps_its_document_and_one_that_is_gone_gets_no_event(
    ground: Ground, sides: Sides
) -> None:
    back, gone = ground.documents()[:2]
    row = lab.rows(ground.sql, "SELECT * FROM search_index WHERE entity_id = %s", back.key[1])[0]
    ground.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [back.key[1]])
    ground.bulk([{"delete": {"_id": gone.id}}])
    differences = list(compare(sides))
    assert {difference.kind for difference in differences} == {"extra", "missing"}
    names = ", ".join(row)
    ground.sql.execute(
        f"INSERT INTO search_index ({names}) VALUES ({', '.join(['%s'] * len(row))})", [*row.values()]
    )
    ground.sql.execute("DELETE FROM search_index WHERE entity_id = %s", [gone.key[1]])
    repair = Repair(sides, "alice", "drill")
    repair.run(differences, stop=Event())
    assert (repair.done.enqueued, repair.done.left) == (0, 2)
    assert lab.rows(ground.sql) == []


def test_a_row_is_not_raised_to_where_no_version_is_left_for_the_application(
    cli: Cli, ground: Ground
) -> None:
    one, two = ground.documents()[:2]
    ground.write([one._replace(version=2**62 + 1), two._replace(version=2**62)])
    done = cli("verify", "--repair", *WHO)
    assert done.returncode == 4
    assert "1 are left: their version in the index leaves no room" in done.stdout
    now = lab.rows(ground.sql, "SELECT entity_id::text, event_version FROM search_index")
    found = {row["entity_id"]: row["event_version"] for row in now}
    assert (found[one.key[1]], found[two.key[1]]) == (one.version, 2**62)


def test_what_was_replaced_meanwhile_is_neither_judged_nor_repaired(
    ground: Ground, sides: Sides, engine: Elasticsearch
) -> None:
    ground.bulk([{"delete": {"_id": ground.documents()[0].id}}])
    repair = Repair(sides, "alice", "drill")

    def act(found: Iterable[Difference]) -> None:
        differences = list(found)
        engine.indices.create(index=f"{ground.index}-000002")
        moved = [
            {"remove": {"index": f"{ground.index}-000001", "alias": ground.index}},
            {"add": {"index": f"{ground.index}-000002", "alias": ground.index}},
        ]
        engine.indices.update_aliases(actions=moved)
        with pytest.raises(InconclusiveError, match="any more"):
            repair.run(differences, stop=Event())

    with pytest.raises(InconclusiveError, match="any more") as raised:
        survey(sides, limit=0, advance=lambda _: None, act=act)
    assert raised.value.exit_code == 5
    assert lab.rows(ground.sql, AUDIT) == []
