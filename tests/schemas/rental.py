"""A rental of films in the style of Pagila: payments in partitions, chains of references, an enum, arrays."""

NAME = "rental"
TABLES = """
CREATE SCHEMA rental;
CREATE TYPE rental.rating AS ENUM ('G', 'PG-13', 'NC: 17');
CREATE TABLE rental.countries (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE rental.cities (id int PRIMARY KEY, name text,
    country_id int NOT NULL REFERENCES rental.countries);
CREATE TABLE rental.addresses (id int PRIMARY KEY, street text, district varchar(20),
    city_id int NOT NULL REFERENCES rental.cities ON UPDATE CASCADE);
CREATE TABLE rental.stores (id int PRIMARY KEY,
    address_id int REFERENCES rental.addresses ON DELETE SET NULL);
CREATE TABLE rental.customers (id int PRIMARY KEY, name text, active boolean, created date,
    store_id int REFERENCES rental.stores ON DELETE SET NULL,
    address_id int REFERENCES rental.addresses ON DELETE SET NULL);
CREATE TABLE rental.languages (id int PRIMARY KEY, name char(20));
CREATE TABLE rental.films (id int PRIMARY KEY, title text, length smallint, rate numeric(4, 2),
    rating rental.rating, features text[],
    language_id int NOT NULL REFERENCES rental.languages ON DELETE CASCADE,
    original_language_id int REFERENCES rental.languages ON DELETE SET NULL);
CREATE TABLE rental.actors (id int PRIMARY KEY, first text, last text);
CREATE TABLE rental.film_actors (actor_id int REFERENCES rental.actors ON DELETE CASCADE ON UPDATE CASCADE,
    film_id int REFERENCES rental.films ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY (actor_id, film_id));
CREATE TABLE rental.inventory (id int PRIMARY KEY, store_id int REFERENCES rental.stores ON DELETE CASCADE,
    film_id int NOT NULL REFERENCES rental.films ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE rental.rentals (id int PRIMARY KEY, rented timestamptz, returned timestamptz,
    inventory_id int NOT NULL REFERENCES rental.inventory ON DELETE CASCADE,
    customer_id int NOT NULL REFERENCES rental.customers ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE rental.payments (id int, paid date, amount numeric(12, 4),
    customer_id int REFERENCES rental.customers ON DELETE CASCADE ON UPDATE CASCADE,
    rental_id int REFERENCES rental.rentals ON DELETE SET NULL, PRIMARY KEY (paid, id)
) PARTITION BY RANGE (paid);
CREATE TABLE rental.payments_1 PARTITION OF rental.payments FOR VALUES FROM ('2022-01-01') TO ('2022-05-01');
CREATE TABLE rental.payments_2 PARTITION OF rental.payments FOR VALUES FROM ('2022-05-01') TO ('2022-09-01');
CREATE INDEX ON rental.payments (customer_id);
CREATE INDEX ON rental.payments (rental_id);
CREATE INDEX ON rental.cities (country_id);
CREATE INDEX ON rental.addresses (city_id);
CREATE INDEX ON rental.customers (address_id);
CREATE INDEX ON rental.films (language_id);
CREATE INDEX ON rental.films (original_language_id);
CREATE INDEX ON rental.film_actors (film_id);
CREATE INDEX ON rental.inventory (film_id);
CREATE INDEX ON rental.rentals (inventory_id);
CREATE INDEX ON rental.rentals (customer_id);
CREATE VIEW rental.film_documents AS
SELECT f.id, f.title, f.length, f.rate, f.rating, f.features, l.name AS language, o.name AS original_language,
    (SELECT json_agg(json_build_object('id', a.id, 'first', a.first, 'last', a.last) ORDER BY a.id)
        FROM rental.film_actors fa JOIN rental.actors a ON a.id = fa.actor_id
        WHERE fa.film_id = f.id) AS actors,
    (SELECT count(*) FROM rental.inventory i WHERE i.film_id = f.id) AS copies,
    (SELECT count(r.returned) FROM rental.inventory i JOIN rental.rentals r ON r.inventory_id = i.id
        WHERE i.film_id = f.id) AS returned
FROM rental.films f JOIN rental.languages l ON l.id = f.language_id
LEFT JOIN rental.languages o ON o.id = f.original_language_id;
CREATE VIEW rental.customer_documents AS
SELECT c.id, c.name, c.created, a.street, a.district, t.name AS city, n.name AS country,
    (SELECT json_build_object('sum', sum(p.amount), 'last', max(p.paid), 'number', count(*))
        FROM rental.payments p WHERE p.customer_id = c.id) AS paid,
    (SELECT json_agg(json_build_object('at', r.rented, 'film', f.title) ORDER BY r.id)
        FROM rental.rentals r JOIN rental.inventory i ON i.id = r.inventory_id
        JOIN rental.films f ON f.id = i.film_id WHERE r.customer_id = c.id) AS rentals
FROM rental.customers c LEFT JOIN rental.addresses a ON a.id = c.address_id
LEFT JOIN rental.cities t ON t.id = a.city_id LEFT JOIN rental.countries n ON n.id = t.country_id
WHERE c.active IS NOT false;
CREATE VIEW rental.customer_list AS
SELECT c.id AS id, c.name, a.street, t.name AS city, n.name AS country, c.store_id AS sid,
    CASE WHEN c.active THEN 'active' ELSE '' END AS notes
FROM rental.customers c JOIN rental.addresses a ON a.id = c.address_id
JOIN rental.cities t ON t.id = a.city_id JOIN rental.countries n ON n.id = t.country_id;
CREATE VIEW rental.payment_documents AS
SELECT p.paid, p.id, p.amount, r.rented
FROM rental.payments p LEFT JOIN rental.rentals r ON r.id = p.rental_id;
"""
# All in the partitions that there are, and in the one that is attached while it is written to.
VALUES = {
    "rental.payments.paid": "DATE '2022-01-01' + CAST(random() * 363 AS int)",
    "rental.payments_1.paid": "DATE '2022-01-01' + CAST(random() * 119 AS int)",
    "rental.payments_2.paid": "DATE '2022-05-01' + CAST(random() * 122 AS int)",
    "rental.payments_3.paid": "DATE '2022-09-01' + CAST(random() * 120 AS int)",
}
LATER = """
CREATE TABLE rental.payments_3 PARTITION OF rental.payments FOR VALUES FROM ('2022-09-01') TO ('2023-01-01')
"""
DECLARATION = """
[projections.film]
root = "rental.films"
key = "id"
document = "rental.film_documents"
index = "{film}"

[projections.customer]
root = "rental.customers"
key = "id"
document = "rental.customer_documents"
index = "{customer}"

[projections.listed]
root = "rental.customers"
key = "id"
document = "rental.customer_list"
index = "{listed}"

[projections.payment]
root = "rental.payments"
key = ["paid", "id"]
document = "rental.payment_documents"
index = "{payment}"
"""
EMPTIED = "rental.film_actors"
