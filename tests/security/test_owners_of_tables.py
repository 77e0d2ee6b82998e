"""Owners of tables and types that a projection reads run no code as who reads: worker, owner, superuser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.schema.roles import Role
from processes import Cli
from projections.store import WHO, own
from security.as_roles import Roles
from servers import an_index

TABLES = """
CREATE SCHEMA mart AUTHORIZATION {keeper};
CREATE SCHEMA mall AUTHORIZATION {mallory};
SET ROLE {mallory};
CREATE TYPE mall.state AS ENUM ('a', 'b');
CREATE TYPE mall.mood AS ENUM ('fine', 'bad');
CREATE TABLE mall.goods (state mall.state PRIMARY KEY, mood mall.mood, n int);
CREATE TABLE mall.names (state mall.state PRIMARY KEY, name text);
CREATE TABLE mall.loot (who text);
INSERT INTO mall.goods VALUES ('a', 'fine', 0), ('b', 'bad', 0);
INSERT INTO mall.names VALUES ('a', 'x'), ('b', 'y');
GRANT USAGE ON SCHEMA mall TO {keeper}, {worker};
GRANT SELECT, TRIGGER ON mall.goods, mall.names TO {keeper};
GRANT SELECT ON mall.goods TO {worker};
GRANT INSERT ON mall.loot TO PUBLIC;
CREATE FUNCTION mall.evil() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO mall.loot VALUES (current_user); RETURN true;
EXCEPTION WHEN read_only_sql_transaction THEN RAISE 'evil runs as %', current_user;
END $$;
CREATE FUNCTION mall.state_text(mall.state) RETURNS text LANGUAGE sql AS
    'SELECT CASE WHEN mall.evil() THEN ''evil'' END';
CREATE FUNCTION mall.text_state(text) RETURNS mall.state LANGUAGE sql AS
    'SELECT CASE WHEN mall.evil() THEN mall.first() END';
CREATE FUNCTION mall.mood_json(mall.mood) RETURNS json LANGUAGE sql AS
    'SELECT CASE WHEN mall.evil() THEN ''"evil"''::json END';
SET ROLE {keeper};
CREATE VIEW mart.documents AS SELECT g.state, g.mood, g.n, l.name
FROM mall.goods g LEFT JOIN mall.names l ON l.state = g.state;
GRANT USAGE ON SCHEMA mart TO {worker};
GRANT SELECT ON mart.documents TO {worker};
RESET ROLE;
""".replace("mall.first()", "NULL::mall.state")
FILE = """
[projections.good]
root = "mall.goods"
key = "state"
document = "mart.documents"
index = "{index}"
[[projections.good.follow]]
table = "mall.names"
keys = "SELECT g.state FROM mall.goods g WHERE g.state = :state"
"""
POLICY = """ALTER TABLE mall.goods ENABLE ROW LEVEL SECURITY;
CREATE POLICY looked ON mall.goods USING (mall.evil())"""
CASTS = {
    "text": "CREATE CAST (mall.state AS text) WITH FUNCTION mall.state_text;"
    "CREATE CAST (text AS mall.state) WITH FUNCTION mall.text_state AS ASSIGNMENT",
    "json": "CREATE CAST (mall.mood AS json) WITH FUNCTION mall.mood_json",
}
ATTACKS = {"policy": POLICY, **CASTS}
WAITING = "SELECT DISTINCT status, error_reason, error FROM search_outbox_events WHERE status <> 'done'"


@dataclass
class Mall:
    """A projection whose tables and types are mallory's, in an outbox of the keeper's."""

    sql: psycopg.Connection
    cli: Cli
    file: Path
    urls: dict[str, str]
    mallory: str

    def attack(self, kind: str) -> None:
        """What mallory may do with what is his, then a change of both tables."""
        with psycopg.connect(self.urls["mallory"], autocommit=True) as session:
            session.execute(ATTACKS[kind].encode())
            session.execute("UPDATE mall.goods SET n = n + 1")
            session.execute("UPDATE mall.names SET name = name || '!'")
            session.execute("DELETE FROM mall.loot")  # of his own writes

    def __call__(self, who: str, *args: str) -> str:
        """What a command prints, whatever it is."""
        done = self.cli(*args, env={"DATABASE_URL": self.urls[who]} if who in self.urls else None)
        return f"{done.returncode}\n{done.stdout}\n{done.stderr}"

    def loot(self) -> list[str]:
        """Who has run his code."""
        return [who for (who,) in self.sql.execute("SELECT DISTINCT who FROM mall.loot").fetchall()]

    def waiting(self) -> list[tuple[str, str, str]]:
        """What is not done, and why."""
        return self.sql.execute(WAITING).fetchall()


@pytest.fixture
def mall(
    as_roles: Roles, sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, tmp_path: Path
) -> Iterator[Mall]:
    """In force, and delivered once."""
    urls = {"keeper": as_roles.login("keeper"), "mallory": as_roles.login("mallory")}
    urls["worker"] = as_roles.login("worker_1", Role.WORKER)
    names = {each: as_roles.prefix + each for each in ("keeper", "mallory", "worker")}
    sql.execute(TABLES.format(**names).encode())
    own(sql, names["keeper"], "mart", "public")
    with an_index(engine) as index:
        file = tmp_path / "mall.toml"
        file.write_text(FILE.format(index=index), encoding="utf-8")
        made = Mall(sql, cli, file, urls, names["mallory"])
        cli.ok("projection", "apply", str(file), *WHO, env={"DATABASE_URL": urls["keeper"]})
        cli.ok("worker", "--drain", env={"DATABASE_URL": urls["worker"]})
        yield made


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_worker_runs_no_code_of_theirs(mall: Mall, kind: str) -> None:
    mall.attack(kind)
    said = mall("worker", "worker", "--drain")
    assert mall.loot() == [], said
    assert "evil" not in f"{said} {mall.waiting()}"
    if kind == "text":
        assert mall.waiting() == [], said
    else:
        assert {status for status, *_ in mall.waiting()} == {"pending"}, said
        assert {reason for _, reason, _ in mall.waiting() if reason} == {"config"}, said
        mend = "BYPASSRLS" if kind == "policy" else mall.mallory
        assert any(mend in error for *_, error in mall.waiting() if error)


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("who", ["keeper", "superuser"])
def test_who_looks_runs_no_code_of_theirs(mall: Mall, kind: str, who: str) -> None:
    mall.attack(kind)
    said = [
        mall(who, "projection", "preview", "good", "a"),
        mall(who, "verify", "--projection", "good"),
        mall(who, "projection", "plan", str(mall.file)),
        mall(who, "projection", "sql", str(mall.file)),
        mall(who, "projection", "apply", str(mall.file), *WHO),
    ]
    assert mall.loot() == [], said
    assert not any("evil runs" in each or '"evil"' in each or "Traceback" in each for each in said), said


SLY = """CREATE SEQUENCE mall.calls;
GRANT USAGE ON mall.calls TO PUBLIC;
CREATE FUNCTION mall.sly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM nextval(''mall.calls''); RETURN $1; END';
CREATE FUNCTION mall.sum(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT mall.sly($1)';
CREATE FUNCTION mall.diff(int, int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT mall.sly($1)';
CREATE OPERATOR mall.|+| (FUNCTION = mall.sum, LEFTARG = int, RIGHTARG = int);
CREATE DOMAIN mall.dom AS int CHECK (mall.sly(VALUE) IS NOT NULL);
CREATE TYPE mall.span AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = mall.diff);
CREATE TABLE mall.parts (state mall.state, n int) PARTITION BY RANGE (mall.sly(n));
CREATE TABLE mall.part PARTITION OF mall.parts DEFAULT;
INSERT INTO mall.parts VALUES ('a', 1), ('b', 2);
GRANT SELECT, TRIGGER ON mall.parts TO PUBLIC;
"""
CALLING = {
    "function": "CREATE INDEX ON mall.goods (mall.sly(n))",
    "operator": "CREATE INDEX ON mall.goods ((n OPERATOR(mall.|+|) 1))",
    "domain": "CREATE INDEX ON mall.goods ((n::mall.dom::int))",
    "range": "ALTER TABLE mall.goods ADD span mall.span; CREATE INDEX ON mall.goods USING gist (span)",
    "generated": "ALTER TABLE mall.goods ADD g int GENERATED ALWAYS AS (n OPERATOR(mall.|+|) 1) STORED",
    "partitions": "",
}
PARTS = """
query = '''SELECT g.state, (SELECT max(p.n) FROM mall.parts p WHERE p.state = g.state) AS n
FROM mall.goods g'''
[[projections.good.follow]]
table = "mall.parts"
key = "state"
"""


@pytest.mark.parametrize("kind", CALLING)
def test_plan_calls_no_function_of_an_index_a_type_or_a_partition_key(mall: Mall, kind: str) -> None:
    with psycopg.connect(mall.urls["mallory"], autocommit=True) as session:
        session.execute(SLY.encode())
        session.execute(CALLING[kind].encode())
    if kind == "partitions":
        kept = mall.file.read_text().replace('document = "mart.documents"', "").partition("[[")[0]
        mall.file.write_text(kept + PARTS)
    calls = mall.sql.execute("SELECT last_value FROM mall.calls").fetchall()
    said = mall("superuser", "projection", "plan", str(mall.file))
    assert mall.sql.execute("SELECT last_value FROM mall.calls").fetchall() == calls, said


IMMUTABLE = """CREATE SEQUENCE mall.seen; GRANT USAGE ON mall.seen TO PUBLIC;
CREATE FUNCTION mall.constant() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM nextval(''mall.seen''); RETURN mall.evil(); END';
ALTER TABLE mall.goods ENABLE ROW LEVEL SECURITY;
CREATE POLICY looked ON mall.goods USING (mall.constant())"""
QUERY = (
    """query = 'SELECT g.state, g.mood, g.n, l.name FROM mall.goods g LEFT JOIN mall.names l USING (state)'"""
)


@pytest.mark.parametrize("by_query", [True, False])
@pytest.mark.parametrize("args", [("plan",), ("apply", *WHO), ("sql",)])
def test_the_planner_runs_no_policy_that_is_called_immutable(
    mall: Mall, args: tuple[str, ...], by_query: bool
) -> None:
    if by_query:
        mall.file.write_text(mall.file.read_text().replace('document = "mart.documents"', QUERY))
    script = mall.cli.ok("projection", "sql", str(mall.file))
    with psycopg.connect(mall.urls["mallory"], autocommit=True) as session:
        session.execute(IMMUTABLE)
    mall("superuser", "projection", args[0], str(mall.file), *args[1:])
    if args == ("sql",):
        mall.sql.execute(script.encode())
    assert mall.loot() == []
    assert mall.sql.execute("SELECT is_called FROM mall.seen").fetchone() == (False,)


def test_the_event_of_all_documents_is_written_without_a_look_at_a_row(mall: Mall) -> None:
    mall.attack("policy")
    mall.sql.execute("DELETE FROM outbox_projections; DELETE FROM search_outbox_events")
    file = mall.file.read_text().replace('index = "', 'index = "x')
    mall.file.write_text(file)
    mall("keeper", "projection", "apply", str(mall.file), *WHO)
    assert mall.loot() == []
    assert mall.sql.execute("SELECT follow FROM search_outbox_events").fetchall() == [(-1,)]


@pytest.mark.slow(reason="doctor")
def test_doctor_says_what_keeps_documents_from_being_read(mall: Mall) -> None:
    mall.attack("policy")
    mall.attack("json")
    said = mall("keeper", "doctor", "--json")
    assert "projection-rows-hidden" in said
    assert "projection-cast-to-json" in said
    assert "cast of mall.mood to json" in said
