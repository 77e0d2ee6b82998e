-- An outdoor shop: ten tables with some rows, as an application would have them before it has a search.
BEGIN;
CREATE SCHEMA shop;

CREATE TABLE shop.brands (
    id int PRIMARY KEY,
    name text NOT NULL UNIQUE,
    country char(2) NOT NULL
);
CREATE TABLE shop.categories (
    id int PRIMARY KEY,
    parent_id int REFERENCES shop.categories,
    name text NOT NULL
);
CREATE TABLE shop.products (
    id bigint PRIMARY KEY,
    brand_id int NOT NULL REFERENCES shop.brands,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    active boolean NOT NULL DEFAULT true,
    purchase_price numeric(10, 2), -- what the shop paid: no business of a search
    released_on date NOT NULL
);
CREATE TABLE shop.product_categories (
    product_id bigint NOT NULL REFERENCES shop.products ON DELETE CASCADE,
    category_id int NOT NULL REFERENCES shop.categories,
    PRIMARY KEY (product_id, category_id)
);
CREATE TABLE shop.variants (
    id bigint PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES shop.products ON DELETE CASCADE,
    sku text NOT NULL UNIQUE,
    color text NOT NULL,
    size text,
    stock int NOT NULL DEFAULT 0
);
CREATE INDEX ON shop.variants (product_id);
CREATE TABLE shop.prices (
    variant_id bigint NOT NULL REFERENCES shop.variants ON DELETE CASCADE,
    currency char(3) NOT NULL,
    amount numeric(10, 2) NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (variant_id, currency)
);
CREATE TABLE shop.customers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    joined_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shop.reviews (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES shop.products ON DELETE CASCADE,
    customer_id bigint REFERENCES shop.customers ON DELETE SET NULL,
    stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    body text NOT NULL
);
CREATE TABLE shop.orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES shop.customers,
    placed_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL
);
CREATE TABLE shop.order_items (
    order_id bigint NOT NULL REFERENCES shop.orders ON DELETE CASCADE,
    variant_id bigint NOT NULL REFERENCES shop.variants,
    quantity int NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, variant_id)
);

INSERT INTO shop.brands VALUES
    (1, 'Fjordland', 'NO'), (2, 'Kestrel', 'GB'), (3, 'Monte', 'IT'), (4, 'Pinewood', 'SE');
INSERT INTO shop.categories VALUES
    (1, NULL, 'Camping'), (2, 1, 'Tents'), (3, 1, 'Sleeping bags'), (4, 1, 'Stoves'),
    (5, NULL, 'Clothing'), (6, 5, 'Jackets'), (7, 5, 'Shirts'), (8, NULL, 'Footwear');
INSERT INTO shop.products VALUES
    (1, 1, 'Storm 2', 'Tunnel tent for two, 2.4 kg', true, 190.00, '2025-03-01'),
    (2, 1, 'Storm 4', 'Tunnel tent for four, 4.1 kg', true, 260.00, '2025-03-01'),
    (3, 4, 'Hut 3', 'Dome tent for three, stands on rock', true, 120.00, '2024-04-15'),
    (4, 2, 'Down 400', 'Warm to -5 degrees', true, 140.00, '2024-09-01'),
    (5, 2, 'Fibre 200', 'Warm to 8 degrees, dries quickly', true, 35.00, '2024-09-01'),
    (6, 3, 'Fiamma', 'Gas stove, 95 g, folds flat', true, 18.00, '2023-05-02'),
    (7, 3, 'Fiamma Duo', 'Gas stove with two rings', true, 41.00, '2025-05-02'),
    (8, 1, 'Bergen', 'Shell jacket, three layers', true, 160.00, '2025-08-20'),
    (9, 4, 'Timber', 'Waxed jacket', true, 75.00, '2022-10-10'),
    (10, 4, 'Timber shirt', 'Flannel shirt', true, 14.00, '2022-10-10'),
    (11, 3, 'Sasso', 'Boots for scree and snow', true, 98.00, '2025-02-11'),
    (12, 3, 'Sasso low', 'Shoes for the way up to the hut', false, 66.00, '2026-03-01');
INSERT INTO shop.product_categories VALUES
    (1, 2), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (8, 6), (9, 6), (10, 7), (11, 8), (12, 8);
INSERT INTO shop.variants VALUES
    (101, 1, 'ST2-GRN', 'green', NULL, 14), (102, 1, 'ST2-RED', 'red', NULL, 3),
    (103, 2, 'ST4-GRN', 'green', NULL, 6), (104, 3, 'HUT3-SND', 'sand', NULL, 0),
    (105, 4, 'DN4-BLU-M', 'blue', 'M', 9), (106, 4, 'DN4-BLU-L', 'blue', 'L', 4),
    (107, 5, 'FB2-GRY', 'grey', 'L', 30), (108, 6, 'FIA', 'steel', NULL, 51),
    (109, 7, 'FIA-DUO', 'steel', NULL, 12), (110, 8, 'BRG-RED-S', 'red', 'S', 2),
    (111, 8, 'BRG-RED-M', 'red', 'M', 0), (112, 8, 'BRG-BLK-M', 'black', 'M', 7),
    (113, 9, 'TMB-OLV-L', 'olive', 'L', 5), (114, 10, 'TSH-RED-M', 'red', 'M', 11),
    (115, 10, 'TSH-GRN-M', 'green', 'M', 8), (116, 11, 'SAS-42', 'brown', '42', 3),
    (117, 11, 'SAS-43', 'brown', '43', 1), (118, 12, 'SAL-42', 'brown', '42', 0);
INSERT INTO shop.prices
SELECT id, 'EUR', (ARRAY[329, 329, 449, 219, 259, 269, 69, 35, 79, 299, 299, 289, 149, 39, 39, 189, 189, 129])[id - 100]
FROM shop.variants;
INSERT INTO shop.prices SELECT variant_id, 'GBP', round(amount * 0.86, 2) FROM shop.prices WHERE variant_id % 2 = 1;
INSERT INTO shop.customers (id, name, email, joined_at) VALUES
    (1, 'Ada Lund', 'ada@example.com', '2024-01-09 08:00Z'), (2, 'Ben Okafor', 'ben@example.com', '2024-05-30 19:12Z'),
    (3, 'Chiara Rossi', 'chiara@example.com', '2025-02-14 11:40Z'), (4, 'Dev Patel', 'dev@example.com', '2025-06-01 07:05Z'),
    (5, 'Eva Novak', 'eva@example.com', '2025-11-23 21:30Z');
INSERT INTO shop.reviews (product_id, customer_id, stars, body) VALUES
    (1, 1, 5, 'Held a gale on the ridge, not a drop inside.'), (1, 2, 4, 'Light, but the pegs bend.'),
    (3, 3, 3, 'Roomy. Two zips jam in the rain.'), (4, 1, 5, 'Slept in it at -6.'),
    (6, 4, 5, 'Boils a litre in three minutes.'), (6, 5, 2, 'The lighter broke on the first day.'),
    (8, 2, 5, 'Dry after six hours of rain.'), (9, 4, 4, 'Smells of wax, which I like.'),
    (10, 5, 5, 'Soft.'), (11, 3, 4, 'Needs a week until it fits.');
INSERT INTO shop.orders VALUES
    (5001, 1, '2026-01-10 10:00Z', 'delivered'), (5002, 2, '2026-01-12 16:20Z', 'delivered'),
    (5003, 4, '2026-02-01 09:45Z', 'paid'), (5004, 5, '2026-02-02 20:10Z', 'cancelled');
INSERT INTO shop.order_items VALUES
    (5001, 101, 1), (5001, 105, 2), (5002, 102, 1), (5002, 110, 1), (5003, 108, 1), (5003, 113, 1), (5004, 108, 2);
COMMIT;
ANALYZE;
