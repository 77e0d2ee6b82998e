"""The rental of films: as many rows as Pagila has, a projection with `keys`, and the application's acts."""

from schemas import rental
from schemas.load.acts import Act

NAME = rental.NAME
# Pagila's numbers of rows; as there, nearly all films are in the first language.
ROWS = """
INSERT INTO rental.countries SELECT n, 'country ' || n FROM generate_series(1, 109) n;
INSERT INTO rental.cities SELECT n, 'city ' || n, 1 + n % 109 FROM generate_series(1, 600) n;
INSERT INTO rental.addresses SELECT n, n || ' street', 'district', 1 + n % 600 FROM generate_series(1, 603) n;
INSERT INTO rental.stores VALUES (1, 601), (2, 602);
INSERT INTO rental.customers SELECT n, 'customer ' || n, true, '2022-02-14', 1 + n % 2, n
    FROM generate_series(1, 599) n;
INSERT INTO rental.languages SELECT n, 'language ' || n FROM generate_series(1, 6) n;
INSERT INTO rental.films SELECT n, 'film ' || n, 46 + n % 140, 0.99 + n % 5,
        (enum_range(NULL::rental.rating))[1 + n % 3], ARRAY['Trailers', 'Commentaries'],
        CASE WHEN n % 20 = 0 THEN 1 + n / 20 % 6 ELSE 1 END, CASE WHEN n % 50 = 0 THEN 2 END
    FROM generate_series(1, 1000) n;
INSERT INTO rental.actors SELECT n, 'first ' || n, 'last ' || n FROM generate_series(1, 200) n;
INSERT INTO rental.film_actors SELECT 1 + n % 200, 1 + (n * 7 + n / 200) % 1000
    FROM generate_series(1, 5462) n ON CONFLICT DO NOTHING;
INSERT INTO rental.inventory SELECT n, 1 + n % 2, 1 + n % 1000 FROM generate_series(1, 4581) n;
INSERT INTO rental.rentals SELECT n, t, t + interval '3 days', 1 + n % 4581, 1 + n % 599
    FROM generate_series(1, 16044) n,
        LATERAL (SELECT '2022-02-14'::timestamptz + n * interval '10 min') l (t);
INSERT INTO rental.payments SELECT n, DATE '2022-01-01' + n % 240, 0.99 + n % 10, 1 + n % 599, 1 + n % 16044
    FROM generate_series(1, 16049) n;
"""
VIEWS = """
CREATE VIEW rental.rental_documents AS
SELECT r.id, r.rented, r.returned, c.name AS customer, n.name AS country, f.title AS film, l.name AS language
FROM rental.rentals r JOIN rental.customers c ON c.id = r.customer_id
LEFT JOIN rental.addresses a ON a.id = c.address_id LEFT JOIN rental.cities t ON t.id = a.city_id
LEFT JOIN rental.countries n ON n.id = t.country_id JOIN rental.inventory i ON i.id = r.inventory_id
JOIN rental.films f ON f.id = i.film_id JOIN rental.languages l ON l.id = f.language_id;
"""
KEYED = '''
[projections.rental]
root = "rental.rentals"
key = "id"
document = "rental.rental_documents"
index = "{rental}"
[[projections.rental.follow]]
table = "rental.countries"
keys = """SELECT r.id FROM rental.rentals r JOIN rental.customers c ON c.id = r.customer_id
    JOIN rental.addresses a ON a.id = c.address_id JOIN rental.cities t ON t.id = a.city_id
    WHERE t.country_id = :id"""
[[projections.rental.follow]]
table = "rental.languages"
keys = """SELECT r.id FROM rental.rentals r JOIN rental.inventory i ON i.id = r.inventory_id
    JOIN rental.films f ON f.id = i.film_id WHERE f.language_id = :id"""
[[projections.rental.follow]]
table = "rental.films"
keys = """SELECT r.id FROM rental.rentals r JOIN rental.inventory i ON i.id = r.inventory_id
    WHERE i.film_id = :id"""
'''
TABLES, DECLARATION = rental.TABLES + ROWS + VIEWS, rental.DECLARATION + KEYED
LATER = rental.LATER
EMPTIED = "rental.payments"
AMEND = "UPDATE rental.payments SET amount = amount + 1"
ACTS = (
    Act(
        30,
        "INSERT INTO rental.rentals VALUES ({new}, now(), NULL, {item}, {customer})",
        "INSERT INTO rental.payments VALUES ({new}, '{day}', {amount}, {customer}, {new})",
    ),
    Act(25, "UPDATE rental.rentals SET returned = now() WHERE id = {rental}"),
    Act(8, "INSERT INTO rental.payments VALUES ({new}, '{day}', {amount}, {customer}, {rental})"),
    Act(5, f"{AMEND} WHERE customer_id = {{customer}}"),
    Act(3, "UPDATE rental.payments SET paid = '{day}' WHERE rental_id = {rental}"),
    Act(2, "DELETE FROM rental.payments WHERE rental_id = {rental}"),
    Act(
        0.3,
        f"{AMEND} WHERE rental_id BETWEEN {{rental}} AND {{rental}} + 400",
    ),
    Act(3, "UPDATE rental.customers SET name = '{word}' WHERE id = {customer}"),
    Act(3, "UPDATE rental.customers SET address_id = {customer} WHERE id = {customer}"),
    Act(2, "UPDATE rental.customers SET active = NOT active WHERE id = {customer}"),
    Act(3, "UPDATE rental.films SET title = '{word}' WHERE id = {film}"),
    Act(1, "UPDATE rental.films SET language_id = {language} WHERE id = {film}"),
    Act(2, "UPDATE rental.actors SET last = '{word}' WHERE id = {actor}"),
    Act(2, "INSERT INTO rental.film_actors VALUES ({actor}, {film})"),
    Act(2, "DELETE FROM rental.film_actors WHERE (actor_id, film_id) = ({actor}, {film})"),
    Act(1, "UPDATE rental.cities SET name = '{word}' WHERE id = {city}"),
    Act(1, "UPDATE rental.addresses SET city_id = {city} WHERE id = {customer}"),
    Act(0.5, "UPDATE rental.countries SET name = '{word}' WHERE id = {country}"),
    Act(0.1, "UPDATE rental.languages SET name = '{word}' WHERE id = {language}"),
    Act(0.3, "UPDATE rental.films SET id = id + 5000 WHERE id = {film}"),
    Act(0.3, "UPDATE rental.films SET id = id - 5000 WHERE id = {film} + 5000"),
    Act(0.3, "UPDATE rental.customers SET id = id + 5000 WHERE id = {customer}"),
    Act(0.3, "UPDATE rental.customers SET id = id - 5000 WHERE id = {customer} + 5000"),
    Act(0.5, "DELETE FROM rental.inventory WHERE id = {item}"),
)
NUMBERS = {
    "item": 4_581,
    "customer": 599,
    "rental": 16_044,
    "film": 1_000,
    "language": 6,
    "actor": 200,
    "city": 600,
    "country": 109,
    "amount": 12,
}
