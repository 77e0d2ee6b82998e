"""Rows and documents as a hostile environment makes them: they stop nothing but themselves."""

import json
import sys

import pytest

from operations.disaster import Ground, Lines, Victim
from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")


def test_hostile_text_and_times_agree_with_their_documents(cli: Cli, ground: Ground) -> None:
    hostile = "[/nope] \x1b[31m \u2028 \u202e ' OR 1=1 -- % \\ \x01"
    ground.sql.execute(
        "UPDATE search_index SET text = %s, rank_score = 'NaN', created_at = 'infinity',"
        " entity_type = left(%s, 50), event_version = 9223372036854775806 WHERE entity_type = 'page'",
        [hostile, hostile],
    )
    found = cli("verify")
    assert (found.returncode, "\x1b" in found.stdout, "\u202e" in found.stdout) == (4, False, False)
    assert cli.json("verify", "--repair", *WHO)["repaired"]["left"] == 0
    cli("worker", "--drain")
    wrong = json.loads(cli("verify", "--json").stdout)
    # A document with NaN or an infinite date is the sink's to refuse: its events have failed.
    assert {difference["kind"] for difference in wrong["first"]} <= {"missing"}
    ground.sql.execute("UPDATE search_index SET rank_score = 1, created_at = now()")
    ground.sql.execute(
        "UPDATE search_index SET event_version = event_version - 1 WHERE event_version = 9223372036854775807"
    )
    cli.json("verify", "--repair", *WHO)
    cli.ok("worker", "--drain")
    cli.ok("verify")
    ground.assert_same()


def raw(document: Victim) -> Lines:
    """Its bulk lines, the body as it is."""
    head = {"_id": document.id, "version": document.version, "version_type": "external"}
    return [{"index": head}, document.text]


@pytest.mark.parametrize("depth", [300, 600, 990])
def test_a_document_nested_deeply_is_compared_or_named_as_the_cause(
    depth: int, cli: Cli, ground: Ground
) -> None:
    one = ground.documents()[0]
    deep = '{"a":' * depth + "1" + "}" * depth
    ground.sql.execute("ALTER TABLE search_index ALTER COLUMN text TYPE json USING to_json(text)")
    ground.sql.execute("UPDATE search_index SET text = %s WHERE entity_id = %s", [deep, one.key[1]])
    mapping = {"dynamic": False, "properties": {k: {"type": "keyword"} for k in ("entity_type", "entity_id")}}
    name = f"{ground.index}-deep"
    ground.engine.indices.create(index=name, mappings=mapping)
    ground.engine.bulk(
        index=name, operations=[line for d in ground.documents() for line in raw(d)], refresh=True
    )
    done = cli("--elastic-index", name, "verify")
    if done.returncode:
        assert (done.returncode, "nested too deeply" in done.stderr) == (2, True), done.stderr
        assert "--versions-only" in done.stderr
    else:  # since Python 3.12 calls of C have a limit of their own
        assert depth < 900 or sys.version_info >= (3, 12)
    cli.ok("--elastic-index", name, "verify", "--versions-only")
