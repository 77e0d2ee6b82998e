"""Views as root and as children: followed by the tables beneath them, whoever writes, by whichever way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.inspect.projections import ProjectionFacts, projections
from processes import Cli, Worker, eventually
from projections.store import Store
from shop import documents, held
from shop.sessions import REFUSED

TABLES = """
CREATE SCHEMA "View:s %";
SET search_path = "View:s %";
CREATE TABLE makers (id int PRIMARY KEY, name text, land text);
CREATE TABLE "Pro""ducts %" ("te:nant" text, "N %r" bigint, name text, shown boolean DEFAULT true,
    maker int REFERENCES makers ON DELETE SET NULL, unused int, PRIMARY KEY ("te:nant", "N %r"));
CREATE TABLE texts (id int PRIMARY KEY, body text, unused int);
CREATE TABLE reviews (id int PRIMARY KEY, shop text, product bigint,
    "text %" int REFERENCES texts ON DELETE CASCADE);
CREATE TABLE lands ("co:de" text PRIMARY KEY, number int UNIQUE);
CREATE TABLE labels (land int REFERENCES lands (number) ON DELETE CASCADE, lang text, label text,
    PRIMARY KEY (land, lang)) PARTITION BY LIST (lang);
CREATE TABLE labels_de PARTITION OF labels FOR VALUES IN ('de');
CREATE TABLE labels_other PARTITION OF labels DEFAULT;
CREATE VIEW made WITH (security_barrier) AS
SELECT p."N %r" AS "Id", p."te:nant" AS "T:", p.name, m.name AS maker, m.land
FROM "Pro""ducts %" p LEFT JOIN makers m ON m.id = p.maker WHERE p.shown;
CREATE VIEW named AS SELECT * FROM made WHERE name IS NOT NULL;
CREATE VIEW "To ld" AS SELECT r.id, r.shop AS "T:", r.product AS "of %", t.body, t.unused
FROM reviews r JOIN texts t ON t.id = r."text %";
CREATE VIEW land_names AS SELECT l."co:de" AS "c:1", n.label, l.number FROM lands l
JOIN labels n ON n.land = l.number AND n.lang = 'de';
CREATE VIEW plain AS SELECT "te:nant" AS t, "N %r" AS n, name, maker FROM "Pro""ducts %";
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO "View:s %".texts VALUES (NEW.id, NEW.body)
        ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body;
    INSERT INTO "View:s %".reviews VALUES (NEW.id, NEW."T:", NEW."of %", NEW.id) ON CONFLICT DO NOTHING;
    RETURN NEW; END $$;
CREATE TRIGGER tell INSTEAD OF INSERT ON "To ld" FOR EACH ROW EXECUTE FUNCTION tell();
CREATE VIEW documents AS SELECT v."T:", v."Id", v.name, v.maker,
    (SELECT json_agg(t.body ORDER BY t.id) FROM "To ld" t
        WHERE t."T:" = v."T:" AND t."of %" = v."Id") AS told,
    (SELECT n.label FROM land_names n WHERE n."c:1" = v.land) AS land
FROM named v;
"""
FILE = """
[projections.product]
root = '"View:s %".named'
key = ["T:", "Id"]
document = '"View:s %".documents'
index = "{index}"
"""
SAID = """
[[projections.product.follow]]
table = '"View:s %"."To ld"'
key = ["T:", "of %"]
"""
AN = "(SELECT {}(id) FROM makers WHERE id < {{c}})"
NONE = "ON CONFLICT DO NOTHING"
WRITES = (
    f"""INSERT INTO "Pro""ducts %" VALUES ('{{t}}', {{a}}, 'n{{b}}') {NONE}""",
    f"INSERT INTO plain VALUES ('{{t}}', {{a}}, 'through', {AN.format('min')}) {NONE}",
    f"UPDATE plain SET name = nullif('m{{b}}', 'm1'), maker = {AN.format('max')} WHERE n = {{a}}",
    """UPDATE "Pro""ducts %" SET shown = NOT shown WHERE "N %r" = {a}""",
    """UPDATE "Pro""ducts %" SET "N %r" = {b}, "te:nant" = '{t}' WHERE "N %r" = {a}""",
    "UPDATE plain SET n = {b} + 9 WHERE n = {a}",
    "DELETE FROM plain WHERE n = {a} AND t = '{t}'",
    f"INSERT INTO makers VALUES ({{a}}, 'k{{b}}', 'l{{c}}') {NONE}",
    "UPDATE makers SET name = 'j{b}', land = 'l{b}' WHERE id = {a}",
    "DELETE FROM makers WHERE id = {a}",
    """INSERT INTO "To ld" VALUES ({a} * 10 + {b}, '{t}', {c}, 'said {b}')""",
    "UPDATE texts SET body = 'again {c}' WHERE id % 7 = {a}",
    "UPDATE texts SET unused = {c}",
    """UPDATE reviews SET product = {b}, "text %" = (SELECT min(id) FROM texts) WHERE id % 5 = {a} % 5""",
    "DELETE FROM texts WHERE id % 9 = {a}",
    f"INSERT INTO lands VALUES ('l{{a}}', {{b}}) {NONE}",
    """UPDATE lands SET "co:de" = 'l{a}' WHERE number = {b}""",
    f"INSERT INTO labels VALUES ({{a}}, 'de', 'D{{b}}'), ({{a}}, 'en', 'E') {NONE}",
    "UPDATE labels SET lang = CASE lang WHEN 'de' THEN 'fr' ELSE 'de' END, label = 'F{c}' WHERE land = {a}",
    "DELETE FROM lands WHERE number = {a}",
)
OPEN = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
ID = """replace(replace("T:", '%', '%25'), ':', '%3A') || ':' || "Id\""""
WHO = ("--by", "alice", "--reason", "search", "--yes")


def doctored(db: Database) -> list[ProjectionFacts]:
    """What `doctor` looks at."""
    with db.begin() as connection:
        return projections(connection)


def write(url: str, seed: int, number: int) -> None:
    """One session, of transactions of some of these statements."""
    random = Random(seed)
    with psycopg.connect(url, autocommit=True, options='-c search_path="View:s\\ %",pg_catalog') as sql:
        sql.execute("SET deadlock_timeout = '20ms'")
        for _ in range(number):
            undone = random.random() < 0.1
            with suppress(*REFUSED), sql.transaction(force_rollback=undone):
                for _ in range(random.randint(1, 4)):
                    a, b, c = (random.randint(1, 8) for _ in range(3))
                    statement = random.choice(WRITES).format(a=a, b=b, c=c, t=random.choice(["a:%", "b"]))
                    sql.execute(statement.encode())


@pytest.mark.real_engine  # an imitation takes an older version after a delete
@pytest.mark.parametrize("said", ["", SAID], ids=["by joins", "as declared"])
def test_documents_of_views_follow_writes_to_the_tables_beneath_and_through_views(
    sql: psycopg.Connection,
    db: Database,
    engine: Elasticsearch,
    index: str,
    url: str,
    cli: Cli,
    tmp_path: Path,
    worker: Callable[..., Worker],
    said: str,
) -> None:
    sql.execute(TABLES.encode())
    sql.execute("RESET search_path")
    file, name = tmp_path / "views.toml", f"{index}-views"
    file.write_text(FILE.format(index=name) + said, encoding="utf-8")
    write(url, 1, 30)
    cli.ok("projection", "apply", str(file), *WHO)
    worker(OUTBOX_POLL_INTERVAL_SECONDS="0.1")
    for seed in (10, 20):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, [url] * 3, range(seed, seed + 3), [40] * 3))
        eventually(lambda: sql.execute(OPEN).fetchone() == (0,), within=60, what="delivered")
        wanted = documents(sql, '"View:s %".documents', ID)
        assert wanted
        assert held(engine, name) == wanted
    (facts,) = doctored(db)
    assert (facts.unfollowed, facts.triggers) == ([], [])
    for command in ("verify", "rebuild"):
        cli.ok(command, "--projection", "product", *(WHO if command == "rebuild" else ()))
        assert held(engine, name) == wanted
    assert "the same in the index" in cli.ok("projection", "preview", "product", min(wanted))
    sql.execute('TRUNCATE "View:s %"."Pro""ducts %", "View:s %".labels_de')
    eventually(lambda: held(engine, name) == {}, within=30)


def test_a_row_that_raises_leaves_the_others_of_a_renamed_key(
    store: Store, engine: Elasticsearch, sql: psycopg.Connection
) -> None:
    """All keys are those of the root then, by the names that it has for them."""
    sql.execute("CREATE VIEW store.v AS SELECT id AS number, 1 / (id - 3) AS x FROM store.products")
    sql.execute(
        'INSERT INTO store.products (id, tenant, "Odd ""%Name") SELECT n, \'t\', n FROM'
        " generate_series(1, 5) n"
    )
    store.write('root = "store.products"\nkey = "id"', 'root = "store.v"\nkey = "number"')
    store.query("SELECT number FROM store.v WHERE x IS NOT NULL")
    store.apply()
    store.cli("worker", "--drain")
    assert held(engine, store.index).keys() == {"1", "2", "4", "5"}
    failed = "SELECT entity_key, error_reason FROM search_outbox_events WHERE status = 'failed'"
    assert sql.execute(failed).fetchall() == [("3", "bad_document")]
    (facts,) = doctored(store.db)
    assert (facts.unfollowed, facts.triggers) == ([], [])
