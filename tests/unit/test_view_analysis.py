"""What the text of a view proves: its key, and how the documents behind a row of each table are found."""

import pytest

from outboxctl.core.projections.view_texts import TableColumns, ViewTexts
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import TableKey

INT, LONG, TEXT, NUMBER = (f"pg_catalog.{each}" for each in ("int4", "int8", "text", "numeric"))
TABLES = {
    "c": (
        {"id": INT, "name": TEXT, "email": TEXT, "country": TEXT, "tags": f"{INT}[]", "above": INT},
        ["id", "email"],
    ),
    "inv": ({"id": INT, "cid": INT, "billing": TEXT, "total": NUMBER, "day": "pg_catalog.date"}, ["id"]),
    "line": ({"id": INT, "inv": INT, "prod": LONG, "qty": INT}, ["id"]),
    "prod": (
        {"id": LONG, "sku": "pg_catalog.varchar", "cat": INT, "vendor": "pg_catalog.bpchar"},
        ["id", "sku"],
    ),
    "cat": ({"id": INT, "name": TEXT, "above": INT}, ["id"]),
    "link": ({"pid": LONG, "cid": INT}, ["pid,cid"]),
    "rates": ({"code": TEXT, "rate": NUMBER}, ["code"]),
    "loose": (
        {"id": INT, "name": f"{TEXT} name"},
        ["id"],
    ),  # of a collation in which different texts are equal
    "m": ({"tenant": INT, "id": INT, "ref": INT}, ["tenant,id"]),
    "mc": ({"tenant": INT, "mid": INT, "body": TEXT}, []),
}


def analysis(select: str, root: str = "c", key: str = "id", **views: str) -> Analysis:
    texts = {Relation("s", name): text for name, text in {**views, "v": select}.items()}
    tables = {
        Relation("s", name): TableColumns(types, [frozenset(each.split(",")) for each in unique])
        for name, (types, unique) in TABLES.items()
    }
    return analyse(
        ViewTexts(texts, tables, {"jsonb_agg", "count"}),
        Relation("s", "v"),
        TableKey(Relation("s", root), tuple(key.split(","))),
    )


def follows(found: Analysis) -> dict[str, list[str]]:
    """Each table with its columns that hold the key, or its query in short."""
    assert (found.wrong_key, found.unknown_key, found.unproven) == ("", "", {})
    return {
        table.name: [", ".join(each.key) or each.keys.replace('"', "").replace("s.", "") for each in ways]
        for table, ways in found.follows.items()
    }


ROOTS = {
    "two columns IN": "m",
    "a key of two columns": "m",
    "a part of a key of two columns": "m",
    "a tree of two steps": "prod",
    "many to many": "prod",
    "tables on the side of a LEFT JOIN that is kept": "prod",
}
BY_COUNTRY = "SELECT t1.id FROM c t1 WHERE t1.country = :billing"
BY_INVOICE = "SELECT t1.cid FROM inv t1 WHERE t1.id = :inv"
BY_PRODUCT = "SELECT t2.cid FROM line t1 JOIN inv t2 ON t1.inv = t2.id WHERE t1.prod = :id"
BY_TAG = "SELECT t1.id FROM c t1 WHERE :id = ANY (t1.tags)"
FOLLOWED: dict[str, tuple[str, dict[str, list[str]]]] = {
    "nothing but the root": ("SELECT id, name FROM s.c", {}),
    "not along a foreign key": (
        "SELECT c.id, ( SELECT sum(i.total) AS sum FROM s.inv i WHERE (i.billing = c.country)) AS n FROM s.c",
        {"inv": [BY_COUNTRY]},
    ),
    "a join, grouped": (
        "SELECT c.id, json_agg(i.total) AS t FROM (s.c LEFT JOIN s.inv i ON ((i.cid = c.id))) GROUP BY c.id",
        {"inv": ["cid"]},
    ),
    "an outer join that WHERE makes an inner one": (
        "SELECT c.id, max(i.id) AS t FROM (s.c LEFT JOIN s.inv i ON (true)) WHERE (i.cid = c.id)"
        " GROUP BY c.id",
        {"inv": ["cid"]},
    ),
    "USING": (
        "SELECT p.id, r.rate FROM (s.c p JOIN s.rates r(country, rate) USING (country))",
        {"rates": ["SELECT t1.id FROM c t1 WHERE t1.country = :code"]},
    ),
    "WITH": (
        "WITH a AS ( SELECT i.cid AS owner, sum(l.qty) AS q FROM (s.inv i JOIN s.line l ON ((l.inv = i.id)))"
        " GROUP BY i.cid) SELECT c.id, a.q FROM (s.c LEFT JOIN a ON ((a.owner = c.id)))",
        {"inv": ["cid"], "line": [BY_INVOICE]},
    ),
    "LATERAL, three deep": (
        "SELECT c.id, x.m FROM (s.c CROSS JOIN LATERAL ( SELECT max(p.sku) AS m FROM ((s.inv i JOIN s.line l"
        " ON ((l.inv = i.id))) JOIN s.prod p ON ((p.id = l.prod))) WHERE (i.cid = c.id)) x)",
        {"inv": ["cid"], "line": [BY_INVOICE], "prod": [BY_PRODUCT]},
    ),
    "EXISTS and its negation": (
        "SELECT c.id FROM s.c WHERE ((EXISTS ( SELECT FROM s.inv i WHERE (i.cid = c.id))) AND (NOT (EXISTS"
        " ( SELECT 1 FROM s.mc WHERE (mc.mid = c.id)))))",
        {"inv": ["cid"], "mc": ["mid"]},
    ),
    "IN": ("SELECT c.id FROM s.c WHERE (c.id IN ( SELECT i.cid FROM s.inv i))", {"inv": ["cid"]}),
    "ROLLUP, whose sums of all have no key": (
        "SELECT c.id, z.n FROM (s.c LEFT JOIN ( SELECT i.cid, count(*) AS n FROM s.inv i GROUP BY"
        " ROLLUP(i.cid)) z"
        " ON ((z.cid = c.id)))",
        {"inv": ["cid"]},
    ),
    "two columns IN": (
        "SELECT m.tenant, m.id FROM s.m WHERE ((m.tenant, m.id) IN ( SELECT x.tenant, x.mid FROM s.mc x))",
        {"mc": ["tenant, mid"]},
    ),
    "an array of keys": (
        "SELECT c.id, ( SELECT array_agg(t.name) AS a FROM s.cat t WHERE (t.id = ANY (c.tags)))"
        " AS tags FROM s.c",
        {"cat": [BY_TAG]},
    ),
    "an array that is unnested": (
        "SELECT c.id, ( SELECT array_agg(t.name) AS a FROM (unnest(c.tags) u(x) JOIN s.cat t ON"
        " ((t.id = u.x))))"
        " AS tags FROM s.c",
        {"cat": [BY_TAG]},
    ),
    "the newest of each": (
        "SELECT c.id, z.total FROM (s.c LEFT JOIN ( SELECT i.cid, i.total, row_number() OVER"
        " (PARTITION BY i.cid"
        " ORDER BY i.day DESC) AS n FROM s.inv i) z ON (((z.cid = c.id) AND (z.n = 1))))",
        {"inv": ["cid"]},
    ),
    "one of each by DISTINCT ON": (
        "SELECT c.id, z.total FROM (s.c LEFT JOIN ( SELECT DISTINCT ON (i.cid) i.cid, i.total FROM s.inv i"
        " ORDER BY i.cid, i.day) z ON ((z.cid = c.id)))",
        {"inv": ["cid"]},
    ),
    "a self join": (
        "SELECT c.id, p.name AS above FROM (s.c LEFT JOIN s.c p ON ((p.id = c.above)))",
        {"c": ["SELECT t1.id FROM c t1 WHERE t1.above = :id"]},
    ),
    "a partition that is one document": ("SELECT c.id, count(*) OVER (PARTITION BY c.id) AS n FROM s.c", {}),
    "a tree of two steps": (
        "SELECT p.id, t.name, up.name AS up FROM ((s.prod p LEFT JOIN s.cat t ON ((t.id = p.cat))) LEFT JOIN"
        " s.cat up ON ((up.id = t.above)))",
        {
            "cat": [
                "SELECT t1.id FROM prod t1 WHERE t1.cat = :id",
                "SELECT t2.id FROM cat t1 JOIN prod t2 ON t1.id = t2.cat WHERE t1.above = :id",
            ]
        },
    ),
    "many to many": (
        "SELECT p.id, ARRAY( SELECT t.name FROM (s.link x JOIN s.cat t ON ((t.id = x.cid))) WHERE"
        " (x.pid = p.id))"
        " AS cats FROM s.prod p",
        {"link": ["pid"], "cat": ["SELECT t1.pid FROM link t1 WHERE t1.cid = :id"]},
    ),
    "a key of two columns": (
        "SELECT m.tenant, m.id, ( SELECT json_agg(x.body) AS b FROM s.mc x WHERE ((x.tenant = m.tenant) AND"
        " (x.mid = m.id))) AS b FROM s.m",
        {"mc": ["tenant, mid"]},
    ),
    "a part of a key of two columns": (
        "SELECT m.tenant, m.id, ( SELECT json_agg(x.body) AS b FROM s.mc x WHERE (x.mid = m.id))"
        " AS b FROM s.m",
        {"mc": ["SELECT t1.tenant, t1.id FROM m t1 WHERE t1.id = :mid"]},
    ),
    "branches of UNION": (
        "SELECT c.id, c.name FROM s.c WHERE (c.above IS NULL) UNION ALL SELECT c.id, i.billing FROM (s.c JOIN"
        " ( SELECT DISTINCT ON (inv.cid) inv.cid, inv.billing FROM s.inv) i ON ((i.cid = c.id)))"
        " WHERE (c.above IS NOT NULL)",
        {"inv": ["cid"]},
    ),
    "the key of an inner join's other side": (
        "SELECT i.cid AS id, c.name FROM (s.c JOIN ( SELECT inv.cid FROM s.inv GROUP BY inv.cid)"
        " i ON ((i.cid = c.id)))",
        {"inv": ["cid"]},
    ),
    "texts of two types": (
        "SELECT c.id, p.cat FROM (s.c LEFT JOIN s.prod p ON (((p.sku)::text = c.name)))",
        {"prod": ["SELECT t1.id FROM c t1 WHERE t1.name = :sku"]},
    ),
    "an operator of an extension": (
        "SELECT c.id, p.code FROM (s.c LEFT JOIN s.rates p ON ((p.code OPERATOR(public.=) c.country)))",
        {"rates": ["SELECT t1.id FROM c t1 WHERE t1.country OPERATOR(public.=) :code"]},
    ),
    "subqueries beside a rank of each partition": (
        "SELECT c.id, rank() OVER w AS n, ( SELECT count(*) AS n FROM s.inv i WHERE (i.cid ="
        " c.id)) AS k FROM s.c"
        " WINDOW w AS (PARTITION BY c.id)",
        {"inv": ["cid"]},
    ),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_a_table_is_followed_by_the_joins_of_the_view(case: str) -> None:
    select, expected = FOLLOWED[case]
    root = ROOTS.get(case, "c")
    found = analysis(select, root, "tenant,id" if root == "m" else "id")
    assert follows(found) == expected
    assert found.several == ""


def test_views_of_views_are_looked_through() -> None:
    deep = "SELECT c.id AS cid, c.name, i.total FROM (s.c LEFT JOIN s.big i ON ((i.cid = c.id)))"
    big = "SELECT inv.cid, sum(inv.total) AS total FROM s.inv GROUP BY inv.cid"
    assert follows(analysis("SELECT d.cid AS id, d.total FROM s.deep d", deep=deep, big=big)) == {
        "inv": ["cid"]
    }


UNPROVEN: dict[str, tuple[str, dict[str, str]]] = {
    "a subquery of its own": (
        "SELECT c.id, ( SELECT max(inv.total) AS m FROM s.inv) AS m FROM s.c",
        {"inv": "no equality"},
    ),
    "a rank by a window with a name": (
        "SELECT c.id, sum(c.above) OVER w AS n FROM s.c WINDOW w AS (PARTITION BY c.country)",
        {"c": "sum(c.above) OVER"},
    ),
    "a subquery within a window function": (
        "SELECT c.id, sum(( SELECT r.rate FROM s.rates r WHERE (r.code = c.country))) OVER () AS n FROM s.c",
        {"c": "OVER", "rates": "OVER"},
    ),
    "DISTINCT ON": (
        "SELECT DISTINCT ON (c.country) c.id, c.country FROM s.c ORDER BY c.country",
        {"c": "DISTINCT ON"},
    ),
    "LIMIT": ("SELECT c.id FROM s.c ORDER BY c.name LIMIT 10", {"c": "LIMIT"}),
    "OFFSET of a UNION": ("SELECT c.id FROM s.c UNION SELECT c.id FROM s.c OFFSET 2", {"c": "LIMIT"}),
    "a numbering of all": (
        "SELECT c.id, z.total FROM (s.c LEFT JOIN ( SELECT i.cid, i.total, row_number() OVER"
        " (ORDER BY i.day) AS n"
        " FROM s.inv i) z ON (((z.cid = c.id) AND (z.n = 1))))",
        {"inv": "row_number() OVER"},
    ),
    "NOT IN, which a NULL makes fail": (
        "SELECT c.id FROM s.c WHERE (NOT (c.id IN ( SELECT i.cid FROM s.inv i)))",
        {"inv": "no equality"},
    ),
    "IN as a value": (
        "SELECT c.id, (c.id IN ( SELECT i.cid FROM s.inv i)) AS has FROM s.c",
        {"inv": "no equality"},
    ),
    "one of two columns": (
        "SELECT c.id, ( SELECT count(*) AS n FROM s.inv i WHERE ((i.cid = c.id) OR (i.id ="
        " c.above))) AS n FROM s.c",
        {"inv": "no equality"},
    ),
    "a FULL JOIN": (
        "SELECT c.id, i.code FROM (s.rates i FULL JOIN s.c ON ((c.country = i.code)))",
        {"rates": "the FULL JOIN in s.v keeps its rows also where it finds none of s.c"},
    ),
    "a condition of an aggregate": (
        "SELECT c.id, ( SELECT count(*) FILTER (WHERE (i.cid = c.id)) AS n FROM s.inv i) AS n FROM s.c",
        {"inv": "no equality"},
    ),
    "a join that decides about others": (
        "SELECT c.id, ( SELECT count(*) AS n FROM (s.line l LEFT JOIN s.inv i ON (((i.id = l.inv) AND"
        " (i.cid = c.id))))) AS n FROM s.c",
        {"line": "the LEFT JOIN in s.v keeps its rows also where it finds none of s.c"},
    ),
    "tables on the side of a LEFT JOIN that is kept": (
        "SELECT p.id, cat.name FROM ((s.cat LEFT JOIN s.link k ON ((k.cid = cat.id)))"
        " LEFT JOIN s.prod p ON ((p.id = k.pid)))",
        dict.fromkeys(
            ("cat", "link"), "the LEFT JOIN in s.v keeps its rows also where it finds none of s.prod"
        ),
    ),
    "WITH RECURSIVE": (
        "WITH RECURSIVE tree AS ( SELECT t.id, t.id AS top FROM s.cat t UNION ALL SELECT t.id, tree.top FROM"
        " (s.cat t JOIN tree ON ((t.above = tree.id)))) SELECT c.id, ( SELECT count(*) AS n FROM tree WHERE"
        " (tree.top = c.above)) AS n FROM s.c",
        {"cat": "WITH RECURSIVE tree"},
    ),
    "a join with other names for columns": (
        "SELECT c.id, ( SELECT count(*) AS n FROM (s.inv i JOIN s.line l ON ((l.inv = i.id))) AS"
        " j(a, cid, d, e, f, id)"
        " WHERE (j.cid = c.id)) AS n FROM s.c",
        {"inv": "no equality", "line": "no equality"},
    ),
}


@pytest.mark.parametrize("case", UNPROVEN)
def test_what_is_not_proved_is_named_with_the_reason(case: str) -> None:
    select, expected = UNPROVEN[case]
    found = analysis(select, ROOTS.get(case, "c"))
    assert (found.wrong_key, found.unknown_key) == ("", "")
    assert {table.name for table in found.unproven} == {*expected}
    for table, reasons in found.unproven.items():
        assert expected[table.name] in "; ".join(reasons)


def test_texts_that_are_equal_and_differ_are_no_key() -> None:
    by_name = "SELECT c.name, ( SELECT count(*) AS n FROM s.loose l WHERE (l.name = c.name)) AS n FROM s.c"
    assert follows(analysis(by_name, key="name")) == {
        "loose": ["SELECT t1.name FROM c t1 WHERE t1.name = :name"]
    }


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT c.above AS id FROM s.c", "id is above of s.c"),
        ("SELECT i.cid AS id FROM s.inv i", "id is cid of s.inv"),
        ("SELECT i.cid AS id FROM (s.inv i LEFT JOIN s.c ON ((c.id = i.cid)))", "id is cid of s.inv"),
        ("SELECT (c.id + 1) AS id FROM s.c", "id is (c.id + 1)"),
        ("SELECT COALESCE(c.id, 0) AS id FROM s.c", "id is coalesce(c.id, 0)"),
        ("SELECT max(c.id) AS id FROM s.c", "id is max(c.id)"),
        ("SELECT c.id FROM s.c UNION ALL SELECT i.id FROM s.inv i", "id is id of s.inv"),
        ("SELECT q.id FROM ( SELECT c.above AS id FROM s.c) q", "id is above of s.c"),
    ],
)
def test_a_key_that_is_not_the_roots_is_seen(select: str, said: str) -> None:
    assert analysis(select).wrong_key == said


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT c.id, i.id AS i FROM (s.c JOIN s.inv i ON ((i.cid = c.id)))", "s.inv (i) is joined on cid"),
        (
            "SELECT c.id, z.total FROM (s.c JOIN ( SELECT cid, total FROM s.inv) z ON ((z.cid = c.id)))",
            "z is joined on cid",
        ),
        (
            "SELECT c.id, l.qty FROM (s.c LEFT JOIN (s.inv i JOIN s.line l ON ((l.inv = i.id)))"
            " ON ((i.cid = c.id)))",
            "s.inv (i) is joined on cid",
        ),
        (
            "SELECT c.id, o.id AS o FROM (s.c JOIN s.c o ON ((o.country = c.country)))",
            "s.c (o) is joined on country",
        ),
        (
            "SELECT c.id, i.billing, count(*) AS n FROM (s.c JOIN s.inv i ON ((i.cid = c.id)))"
            " GROUP BY c.id, i.billing",
            "s.inv (i) is joined on cid",
        ),
        (
            "SELECT c.id, z.n FROM (s.c LEFT JOIN ( SELECT i.cid, i.day, count(*) AS n FROM s.inv i"
            " GROUP BY i.cid, i.day) z ON ((z.cid = c.id)))",
            "z is joined on cid",
        ),
        (
            "SELECT c.id, x.n FROM (s.c LEFT JOIN ( SELECT i.cid, i.total AS n FROM s.inv i LIMIT 3) x"
            " ON ((x.cid = c.id)))",
            "x is joined on cid",
        ),
    ],
)
def test_several_rows_of_one_key_are_seen(select: str, said: str) -> None:
    assert analysis(select).several.startswith(said)


@pytest.mark.parametrize(
    "select",
    [
        "SELECT c.id, o.id AS o FROM (s.c JOIN s.c o ON ((o.email = c.email)))",
        "SELECT c.id, r.rate FROM (s.c CROSS JOIN s.rates r) WHERE (r.code = 'EUR'::text)",
        "SELECT DISTINCT c.id FROM (s.c JOIN s.inv i ON ((i.cid = c.id)))",
        "SELECT c.id, x.n FROM (s.c LEFT JOIN LATERAL ( SELECT i.total AS n FROM s.inv i WHERE"
        " (i.cid = c.id) LIMIT 1) x"
        " ON (true))",
        "SELECT c.id, x.qty FROM (s.c LEFT JOIN ( SELECT l.id, l.qty FROM s.line l) x ON ((x.id = c.above)))",
        "SELECT c.id, x.n FROM (s.c LEFT JOIN ( SELECT i.cid, count(*) AS n FROM s.inv i"
        " GROUP BY i.cid) x ON ((x.cid = c.id)))",
        "SELECT c.id, x.n FROM (s.c LEFT JOIN ( SELECT i.cid, count(*) AS n FROM s.inv i"
        " WHERE (i.billing = 1) GROUP BY i.cid, i.billing) x ON ((x.cid = c.id)))",
        "SELECT c.id, x.n FROM (s.c LEFT JOIN ( SELECT lower(i.day) AS d, count(*) AS n FROM s.inv i"
        " GROUP BY (lower(i.day))) x ON ((x.d = c.email)))",
        "SELECT c.id, x.n FROM (s.c LEFT JOIN LATERAL ( SELECT count(*) AS n FROM s.inv i WHERE"
        " (i.cid = c.id) GROUP BY i.cid) x ON (true))",
    ],
)
def test_one_row_of_one_key_is_seen(select: str) -> None:
    assert analysis(select).several == ""


def test_a_text_that_the_parser_refuses_proves_nothing() -> None:
    found = analysis("SELECT c.id, XMLTABLE( FROM s.c")
    assert found.unknown_key.startswith("its text is not understood")
    assert found.unproven.keys() == {Relation("s", name) for name in TABLES}
