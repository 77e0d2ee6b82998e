"""What a transaction of the shop may do: {a} and {b} are keys of products, {n} is any number."""

from random import Random

from storm.shop.schema import BIG

CATEGORY = f"(SELECT id FROM shop.categories WHERE id > {BIG} ORDER BY id DESC OFFSET {{n}} % 3 LIMIT 1)"
# Of any age: its products are not written to any more, nothing else has them read again.
AN_OLD_CATEGORY = CATEGORY.replace("% 3", "% 60")
A_REVIEW = "id = (SELECT id FROM shop.reviews WHERE product_id = {a} ORDER BY id OFFSET {n} % 2 LIMIT 1)"
AN_OFFER = "id = (SELECT id FROM shop.offers WHERE product_id = {a} ORDER BY id OFFSET {n} % 2 LIMIT 1)"
ANY_KEY = "SELECT id FROM shop.products WHERE id IN ({a}, {b})"
COMMON = {
    "INSERT INTO shop.products (id, name, price, category_id) VALUES ({a}, 'name {n}', {n},"
    f" {CATEGORY}) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name": 6,
    "UPDATE shop.products SET price = price + 1 WHERE id IN ({a}, {b})": 2,
    "UPDATE shop.products SET price = price WHERE id = {a}": 1,  # changes nothing
    "UPDATE shop.products SET published = NOT published WHERE id = {a}": 2,
    "UPDATE shop.products SET id = {b} WHERE id = {a}"
    " AND NOT EXISTS (SELECT FROM shop.products WHERE id = {b})": 2,
    f"UPDATE shop.products SET category_id = {CATEGORY} WHERE id = {{a}}": 2,
    "DELETE FROM shop.products WHERE id = {a}": 3,
    "INSERT INTO shop.reviews (product_id, stars, body)"
    f" SELECT id, {{n}} % 5, 'review {{n}}' FROM ({ANY_KEY}) k": 4,
    f"UPDATE shop.reviews SET body = 'changed {{n}}' WHERE {A_REVIEW}": 2,
    f"UPDATE shop.reviews SET product_id = {{b}} WHERE {A_REVIEW}": 2,
    "UPDATE shop.reviews SET product_id = {a} + {b} - product_id WHERE product_id IN ({a}, {b})": 1,
    f"DELETE FROM shop.reviews WHERE {A_REVIEW}": 2,
    "DELETE FROM shop.reviews WHERE product_id = {a}": 1,
    f"INSERT INTO shop.offers (product_id, price) SELECT id, {{n}} FROM ({ANY_KEY}) k": 3,
    f"UPDATE shop.offers SET product_id = {{b}} WHERE {AN_OFFER}": 1,
    f"UPDATE shop.offers SET product_id = NULL WHERE {AN_OFFER}": 1,
    "UPDATE shop.offers SET product_id = {a}"
    " WHERE id = (SELECT max(id) FROM shop.offers WHERE product_id IS NULL)"
    " AND EXISTS (SELECT FROM shop.products WHERE id = {a})": 1,
    f"DELETE FROM shop.offers WHERE {AN_OFFER}": 1,
    "INSERT INTO shop.categories DEFAULT VALUES": 1,
    f"UPDATE shop.categories SET rev = rev + 1 WHERE id = {AN_OLD_CATEGORY}": 2,
}
RENAME = f"UPDATE shop.categories SET rev = rev + 1 WHERE id = {BIG}"  # all of the old stock
DISSOLVE = f"DELETE FROM shop.categories WHERE id = {CATEGORY}"  # its products have none then
EMPTY = "TRUNCATE shop.reviews"


def some(rng: Random, keys: range) -> list[str]:
    """The statements of one transaction on these products."""
    chosen = rng.choices([*COMMON], [*COMMON.values()], k=rng.randint(1, 4))
    return [complete(each, rng, keys) for each in chosen]


def complete(statement: str, rng: Random, keys: range) -> str:
    """A statement with keys and a number."""
    a, b = rng.sample(keys, 2)
    return statement.format(a=a, b=b, n=rng.randrange(1_000_000))
