"""The tables of the shop, the declaration of its documents, and a log of every committed state of each.

A document shows a mark: how many transactions have changed it. The mark of a key is raised by the shop's own
triggers when a transaction ends, under a lock that is held until it has ended, so marks are in the order of
commits; changes of one document still overlap until then. What the document was at each mark is written to
`states` by the same triggers. The projection ignores marks: what it misses, no mark makes up for.

Who renames a category changes documents that he cannot all see (one may be linked by an open transaction), so
that raises no mark: a document shows the category's own number, which grows with each name.
"""

NAME = "product"
BIG = 1  # the category of the old stock
STOCK = 1_000_000  # keys of the old stock are above it
SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.categories (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rev bigint NOT NULL DEFAULT 1);
CREATE TABLE shop.products (
    id bigint PRIMARY KEY, name text NOT NULL, price numeric(10, 2), published boolean NOT NULL DEFAULT true,
    category_id int REFERENCES shop.categories ON DELETE SET NULL
);
CREATE TABLE shop.reviews (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stars int, body text,
    product_id bigint NOT NULL REFERENCES shop.products ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE shop.offers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric(10, 2),
    product_id bigint REFERENCES shop.products ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE INDEX ON shop.products (category_id);
CREATE INDEX ON shop.reviews (product_id);
CREATE INDEX ON shop.offers (product_id);

CREATE TABLE shop.transactions (name text PRIMARY KEY);
CREATE TABLE shop.marks (id bigint PRIMARY KEY, mark bigint NOT NULL DEFAULT 0, tx xid8);
CREATE TABLE shop.states (id bigint, mark bigint, document jsonb, PRIMARY KEY (id, mark));
CREATE TABLE shop.touched (id bigint NOT NULL);

CREATE VIEW shop.product_documents AS
SELECT p.id, m.mark, p.name, p.price, p.category_id, c.rev AS category_rev,
    (SELECT json_agg(json_build_object('id', r.id, 'stars', r.stars, 'body', r.body) ORDER BY r.id)
        FROM shop.reviews r WHERE r.product_id = p.id) AS reviews,
    (SELECT json_agg(json_build_object('id', o.id, 'price', o.price) ORDER BY o.id)
        FROM shop.offers o WHERE o.product_id = p.id) AS offers
FROM shop.products p JOIN shop.marks m ON m.id = p.id LEFT JOIN shop.categories c ON c.id = p.category_id
WHERE p.published;

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO shop.touched SELECT DISTINCT product_id FROM shop.reviews;
    ELSIF OLD IS DISTINCT FROM NEW THEN
        INSERT INTO shop.touched SELECT DISTINCT CAST(changed ->> TG_ARGV[0] AS bigint)
            FROM (VALUES (to_jsonb(OLD)), (to_jsonb(NEW))) rows (changed)
            WHERE changed ->> TG_ARGV[0] IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION shop.raise_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE shop.marks SET mark = mark + 1, tx = pg_current_xact_id()
        WHERE id = NEW.id AND tx IS DISTINCT FROM pg_current_xact_id();
    IF FOUND THEN  -- the first time in this transaction, all of which is visible here
        INSERT INTO shop.states SELECT m.id, m.mark,
            (SELECT to_jsonb(d) - 'category_rev' FROM shop.product_documents d WHERE d.id = m.id)
            FROM shop.marks m WHERE m.id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON shop.products
    FOR EACH ROW EXECUTE FUNCTION shop.touch('id');
CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON shop.reviews
    FOR EACH ROW EXECUTE FUNCTION shop.touch('product_id');
CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON shop.offers
    FOR EACH ROW EXECUTE FUNCTION shop.touch('product_id');
CREATE TRIGGER empty BEFORE TRUNCATE ON shop.reviews EXECUTE FUNCTION shop.touch();
CREATE CONSTRAINT TRIGGER raise_mark AFTER INSERT ON shop.touched DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION shop.raise_mark();

INSERT INTO shop.categories DEFAULT VALUES;
"""
FILL = (
    "INSERT INTO shop.marks SELECT generate_series(1, %(keys)s)",
    f"INSERT INTO shop.marks SELECT {STOCK} + generate_series(1, %(stock)s)",
    "INSERT INTO shop.products (id, name, price, category_id)"
    f" SELECT {STOCK} + n, 'old stock ' || n, n, {BIG} FROM generate_series(1, %(stock)s) n",
)
DECLARATION = """
[projections.product]
root = "shop.products"
key = "id"
document = "shop.product_documents"
index = "{index}"
ignore = ["shop.marks"]

[[projections.product.follow]]
table = "shop.categories"
keys = "SELECT id FROM shop.products WHERE category_id = :id"
"""
