"""Products whose documents raise, each in another way: what a view of an application may come to."""

from typing import NamedTuple

FUNCTIONS = """
CREATE SEQUENCE shop.numbers;
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE FUNCTION shop.without_return() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION shop.raising(state text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'raised with %', state USING ERRCODE = state;
END $$;
"""
VIEW = """
CREATE OR REPLACE VIEW shop.product_documents AS
SELECT p.id, p.name, p.price, NULL::text AS category, {share} AS share, '[]'::json AS reviews
FROM shop.products p WHERE p.published;
"""


class Way(NamedTuple):
    """An expression that raises, and what PostgreSQL says then."""

    expression: str
    words: str


BY_STATE = ["08001", "08006", "25P02", "26000", "3F000", "38000", "42501", "42P01", "53100"]
BY_STATE += ["53200", "53300", "55000", "57P01", "57P03", "58030", "F0000", "XX000", "XX001", "ZZ999"]
WAYS = [
    Way("100 / (p.id - p.id)::int", "division by zero"),
    Way("shop.without_return()", "control reached end of function without RETURN"),
    Way("nextval('shop.numbers')::int", "cannot execute nextval() in a read-only transaction"),
    Way("(-p.id)::shop.positive::int", 'violates check constraint "positive_check"'),
    Way("length(to_tsvector(('no' || p.name)::regconfig, 'x'))", "does not exist"),
    Way("('no' || p.name)::int", "invalid input syntax for type integer"),
    *[Way(f"shop.raising('{state}')", f"raised with {state}") for state in BY_STATE],
]
OTHERS = 300  # rows that have a document, with ids above those of the others
BAD = {(n + 1) * 7: way for n, way in enumerate(WAYS)}
CASES = " ".join(f"WHEN {id_} THEN {way.expression}" for id_, way in BAD.items())
SHARE = f"CASE p.id {CASES} ELSE 1 END"
PRODUCTS = f"INSERT INTO shop.products SELECT n, 'p' || n, 1, 1 FROM generate_series(1, {OTHERS}) n"
GOOD = {str(n) for n in range(1, OTHERS + 1)} - {str(n) for n in BAD}
SCHEMA = FUNCTIONS + VIEW.format(share=SHARE) + PRODUCTS
