SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA store;
CREATE TYPE store.color AS ENUM (
    'red',
    'blue'
);
CREATE FUNCTION public.outbox_audit_by_database() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT has_column_privilege(TG_RELID, 'at', 'UPDATE') THEN
        NEW.at := now();
    END IF;
    IF NOT has_column_privilege(TG_RELID, 'logged_in_as', 'UPDATE') THEN
        NEW.logged_in_as := session_user;
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.outbox_categories_b4748adc() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
<<outboxctl>>
DECLARE
    gone boolean;
    number int;
    key_now_1 text;
    key_before_1 text;
    unsure_1 boolean;
    moment bigint;
    id_time text;
    id_number bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'name', false);
        IF gone THEN
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'name')
                AND (attrelid <> 16551 OR (attname, attnum) IN (('id', 1), ('name', 2)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        IF number = 1 THEN
            SELECT CASE WHEN (NULL) IS NOT FALSE AND true
                    THEN CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record) AND true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                (NULL) IS NULL
                INTO key_now_1, key_before_1, unsure_1
            FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.name AS o2, n.name AS n2) c
            LIMIT 1;
            IF NOT FOUND THEN
                number := 2;
            ELSE
                IF unsure_1 THEN
                    SELECT CASE WHEN ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END THEN outboxctl.key_now_1 END
                        INTO key_now_1
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.name AS o2, n.name AS n2) c
                    LIMIT 1;
                END IF;
                IF coalesce(key_now_1, key_before_1) IS NULL THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT * FROM (VALUES (2, key_now_1, 0, 'infinity'::timestamptz, 'product'::text, 'product/0:'),
                (3, key_before_1, 0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix) WHERE entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.name AS o2 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.name AS n2 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 2 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (coalesce(c.before, c.after) - 1) / 500,
                    string_agg(CASE WHEN n."id" IS NOT NULL THEN '"' || concat(n."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE c.after IS NOT NULL AND true),
                    string_agg(CASE WHEN o."id" IS NOT NULL THEN '"' || concat(o."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)
                        AND true)
                FROM changed c CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS name) o
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS name) n GROUP BY 1) k (chunk, new_1_0, old_1_0)
            CROSS JOIN LATERAL (
                VALUES (1, '{"": "store.categories 36aa7739b1bd", "id": [' || coalesce(new_1_0 || ',' || old_1_0, new_1_0, old_1_0) || ']}', 0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.name AS o2 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.name AS n2 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'product'::text, 'product/0:' FROM (SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS name FROM changed c WHERE after IS NOT NULL) n
                WHERE true
                UNION SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS name FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM new_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16551 OR (attname, attnum) IN (('id', 1)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM new_rows n CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                    0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 2 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg(CASE WHEN n."id" IS NOT NULL THEN '"' || concat(n."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE true)
                FROM (SELECT row_number() OVER () AS number, n.id AS n1, n.name AS n2
                    FROM new_rows n) c
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS name) n GROUP BY 1) k (chunk, new_1_0)
            CROSS JOIN LATERAL (
                VALUES (1, '{"": "store.categories 36aa7739b1bd", "id": [' || new_1_0 || ']}', 0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'product'::text, 'product/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM new_rows n
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16551 OR (attname, attnum) IN (('id', 1)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM old_rows o CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                    0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 2 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg(CASE WHEN o."id" IS NOT NULL THEN '"' || concat(o."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE true)
                FROM (SELECT row_number() OVER () AS number, o.id AS o1, o.name AS o2
                    FROM old_rows o) c
                CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS name) o GROUP BY 1) k (chunk, old_1_0)
            CROSS JOIN LATERAL (
                VALUES (1, '{"": "store.categories 36aa7739b1bd", "id": [' || old_1_0 || ']}', 0, 'infinity'::timestamptz, 'product'::text, 'product/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'product'::text, 'product/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.categories 36aa7739b1bd"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM old_rows o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSE
        INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
    END IF;
    RETURN NULL;
END$$;
CREATE FUNCTION public.outbox_event_begins() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    outbox constant oid := coalesce(pg_partition_root(TG_RELID), TG_RELID);
    of_any_status constant boolean := has_column_privilege(outbox, 'status', 'UPDATE');
    of_any_time constant boolean := has_column_privilege(outbox, 'created_at', 'UPDATE');
    event jsonb;
BEGIN
    IF of_any_status AND of_any_time THEN
        RETURN NEW;
    END IF;
    event := to_jsonb(NEW);
    IF NOT of_any_status AND (event->>'status' IS DISTINCT FROM 'pending' OR coalesce(event->>'attempts', '0') <> '0'
            OR coalesce(event->>'replay_count', '0') <> '0'
            OR num_nonnulls(event->>'owner', event->>'lease_token', event->>'lease_until', event->>'processing_started_at', event->>'next_retry_at', event->>'processed_at', event->>'error_reason', event->>'error', event->>'last_replayed_at', event->>'last_replayed_by', event->>'last_replayed_reason', event->>'follow', event->>'follow_cursor') > 0) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('permission denied for table %s: an event begins as pending, with no attempt,'
                ' failure, lease, retry or replay, and follows nothing', TG_TABLE_NAME),
            HINT = 'insert entity_type, entity_id, op and event_version; the defaults are right';
    END IF;
    IF NOT of_any_status AND octet_length(event->>'entity_key') > 8192 THEN
        RAISE program_limit_exceeded USING
            MESSAGE = 'an entity_key of more than 8192 bytes is not supported';
    END IF;
    IF NOT of_any_time THEN
        IF event ? 'created_at' AND NEW.created_at NOT BETWEEN now() - interval '1 minute'
                AND clock_timestamp() + interval '1 minute' THEN
            NEW.created_at := now();
        END IF;
        IF event ? 'updated_at' AND NEW.updated_at NOT BETWEEN now() - interval '1 minute'
                AND clock_timestamp() + interval '1 minute' THEN
            NEW.updated_at := now();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.outbox_products_4c8b4d09() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
<<outboxctl>>
DECLARE
    gone boolean;
    number int;
    key_now_1 text;
    key_before_1 text;
    unsure_1 boolean;
    key_now_2 text;
    key_before_2 text;
    unsure_2 boolean;
    key_now_3 text;
    key_before_3 text;
    unsure_3 boolean;
    moment bigint;
    id_time text;
    id_number bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce(false, false);
        IF gone THEN
            SELECT count(*) < 7 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'sku', 'tenant', 'title', 'price', 'color', 'category_id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1), ('sku', 2), ('tenant', 3), ('title', 4), ('price', 5), ('color', 6), ('category_id', 7)));
        END IF;
        IF gone THEN
            SELECT count(*) < 3 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'sku', 'title')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1), ('sku', 2), ('title', 4)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'listing',
                md5('listing' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.sku AS o2, o.title AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.sku AS n2, n.title AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS sku, c.n4 AS title FROM changed c WHERE after IS NOT NULL) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS sku, c.o4 AS title FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 7 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'sku', 'tenant', 'title', 'price', 'color', 'category_id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1), ('sku', 2), ('tenant', 3), ('title', 4), ('price', 5), ('color', 6), ('category_id', 7)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.sku AS o2, o.tenant AS o3, o.title AS o4, o.price AS o5, o.color AS o6, o.category_id AS o7 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.sku AS n2, n.tenant AS n3, n.title AS n4, n.price AS n5, n.color AS n6, n.category_id AS n7 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END
            )
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS sku, c.n3 AS tenant, c.n4 AS title, c.n5 AS price, c.n6 AS color, c.n7 AS category_id FROM changed c WHERE after IS NOT NULL) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS sku, c.o3 AS tenant, c.o4 AS title, c.o5 AS price, c.o6 AS color, c.o7 AS category_id FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'title')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1), ('title', 4)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.title AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.title AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n4 AS title FROM changed c WHERE after IS NOT NULL) n
                WHERE true
                UNION SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o4 AS title FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        IF number = 1 THEN
            SELECT CASE WHEN (NULL) IS NOT FALSE AND (n."id" IS NOT NULL)
                    THEN concat(n."id") COLLATE "C" END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record) AND (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                (NULL) IS NULL,
                CASE WHEN (NULL) IS NOT FALSE AND (n."id" IS NOT NULL)
                    THEN concat(n."id") COLLATE "C" END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record) AND (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                (NULL) IS NULL,
                CASE WHEN (NULL) IS NOT FALSE AND true
                    THEN CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record) AND true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                (NULL) IS NULL
                INTO key_now_1, key_before_1, unsure_1, key_now_2, key_before_2, unsure_2, key_now_3, key_before_3, unsure_3
            FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.sku AS o2, n.sku AS n2, o.tenant AS o3, n.tenant AS n3, o.title AS o4, n.title AS n4, o.price AS o5, n.price AS n5, o.color AS o6, n.color AS n6, o.category_id AS o7, n.category_id AS n7) c
            LIMIT 1;
            IF NOT FOUND THEN
                number := 2;
            ELSE
                IF unsure_1 THEN
                    SELECT CASE WHEN ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END THEN outboxctl.key_now_1 END
                        INTO key_now_1
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.sku AS o2, n.sku AS n2, o.title AS o4, n.title AS n4) c
                    LIMIT 1;
                END IF;
                IF unsure_2 THEN
                    SELECT CASE WHEN ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END THEN outboxctl.key_now_2 END
                        INTO key_now_2
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.sku AS o2, n.sku AS n2, o.tenant AS o3, n.tenant AS n3, o.title AS o4, n.title AS n4, o.price AS o5, n.price AS n5, o.color AS o6, n.color AS n6, o.category_id AS o7, n.category_id AS n7) c
                    LIMIT 1;
                END IF;
                IF unsure_3 THEN
                    SELECT CASE WHEN ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END THEN outboxctl.key_now_3 END
                        INTO key_now_3
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.title AS o4, n.title AS n4) c
                    LIMIT 1;
                END IF;
                IF coalesce(key_now_1, key_before_1, key_now_2, key_before_2, key_now_3, key_before_3) IS NULL THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT * FROM (VALUES (2, key_now_1, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:'),
                (3, key_before_1, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:'), (4, key_now_2, NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (5, key_before_2, NULL::int, NULL::timestamptz, 'product'::text, 'product:'), (6, key_now_3, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:'),
                (7, key_before_3, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix) WHERE entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.sku AS o2, o.tenant AS o3, o.title AS o4, o.price AS o5, o.color AS o6, o.category_id AS o7 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.sku AS n2, n.tenant AS n3, n.title AS n4, n.price AS n5, n.color AS n6, n.category_id AS n7 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 4 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (coalesce(c.before, c.after) - 1) / 500,
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.after IS NOT NULL AND (n."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)
                        AND (o."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.after IS NOT NULL AND (n."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END)),
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)
                        AND (o."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END)),
                    string_agg(CASE WHEN n."id" IS NOT NULL THEN '"' || concat(n."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE c.after IS NOT NULL AND true AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg(CASE WHEN o."id" IS NOT NULL THEN '"' || concat(o."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)
                        AND true AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END))
                FROM changed c CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS sku, c.o3 AS tenant, c.o4 AS title, c.o5 AS price, c.o6 AS color, c.o7 AS category_id) o
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS sku, c.n3 AS tenant, c.n4 AS title, c.n5 AS price, c.n6 AS color, c.n7 AS category_id) n GROUP BY 1) k (chunk, new_1_0, old_1_0, new_2_0, old_2_0, new_3_0, old_3_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || coalesce(new_1_0 || ',' || old_1_0, new_1_0, old_1_0) || ']', -2, 'infinity'::timestamptz, 'listing'::text, 'listing/-2:'),
                (2, '[' || coalesce(new_2_0 || ',' || old_2_0, new_2_0, old_2_0) || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (3, '{"": "store.products eaafe012d430", "id": [' || coalesce(new_3_0 || ',' || old_3_0, new_3_0, old_3_0) || ']}', 0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.sku AS o2, o.tenant AS o3, o.title AS o4, o.price AS o5, o.color AS o6, o.category_id AS o7 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.sku AS n2, n.tenant AS n3, n.title AS n4, n.price AS n5, n.color AS n6, n.category_id AS n7 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS sku, c.n4 AS title FROM changed c WHERE after IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS sku, c.o4 AS title FROM changed c WHERE before IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS sku, c.n3 AS tenant, c.n4 AS title, c.n5 AS price, c.n6 AS color, c.n7 AS category_id FROM changed c WHERE after IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END)) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS sku, c.o3 AS tenant, c.o4 AS title, c.o5 AS price, c.o6 AS color, c.o7 AS category_id FROM changed c WHERE before IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o6, c.o7)::record *<> ROW(c.n1, c.n6, c.n7)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o2)::int8, 0) + coalesce(pg_column_size(c.n2), 0) > 1000000 THEN true ELSE ROW(c.o2)::record *<> ROW(c.n2)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o5)::int8, 0) + coalesce(pg_column_size(c.n5), 0) > 1000000 THEN true ELSE ROW(c.o5)::record *<> ROW(c.n5)::record END)
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n4 AS title FROM changed c WHERE after IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)) n
                WHERE true
                UNION SELECT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o4 AS title FROM changed c WHERE before IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM new_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
        END IF;
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'listing',
                md5('listing' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM new_rows n
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM new_rows n CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (n."id" IS NOT NULL) THEN concat(n."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'listing'::text, 'listing:'),
                (2, CASE WHEN (n."id" IS NOT NULL) THEN concat(n."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (3, CASE WHEN true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                    0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 4 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (n."id" IS NOT NULL)),
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (n."id" IS NOT NULL)),
                    string_agg(CASE WHEN n."id" IS NOT NULL THEN '"' || concat(n."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE true)
                FROM (SELECT row_number() OVER () AS number, n.id AS n1, n.sku AS n2, n.tenant AS n3, n.title AS n4, n.price AS n5, n.color AS n6, n.category_id AS n7
                    FROM new_rows n) c
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS sku, c.n3 AS tenant, c.n4 AS title, c.n5 AS price, c.n6 AS color, c.n7 AS category_id) n GROUP BY 1) k (chunk, new_1_0, new_2_0, new_3_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || new_1_0 || ']', -2, 'infinity'::timestamptz, 'listing'::text, 'listing/-2:'),
                (2, '[' || new_2_0 || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (3, '{"": "store.products eaafe012d430", "id": [' || new_3_0 || ']}', 0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(n."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN n."id" IS NOT NULL THEN to_json(concat(n."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM new_rows n
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
        END IF;
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'listing',
                md5('listing' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16558 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM old_rows o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM old_rows o CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'listing'::text, 'listing:'),
                (2, CASE WHEN (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (3, CASE WHEN true THEN CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" END,
                    0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 4 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (o."id" IS NOT NULL)),
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (o."id" IS NOT NULL)),
                    string_agg(CASE WHEN o."id" IS NOT NULL THEN '"' || concat(o."id") COLLATE "C" || '"' ELSE 'null' END, ',')
                        FILTER (WHERE true)
                FROM (SELECT row_number() OVER () AS number, o.id AS o1, o.sku AS o2, o.tenant AS o3, o.title AS o4, o.price AS o5, o.color AS o6, o.category_id AS o7
                    FROM old_rows o) c
                CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS sku, c.o3 AS tenant, c.o4 AS title, c.o5 AS price, c.o6 AS color, c.o7 AS category_id) o GROUP BY 1) k (chunk, old_1_0, old_2_0, old_3_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || old_1_0 || ']', -2, 'infinity'::timestamptz, 'listing'::text, 'listing/-2:'),
                (2, '[' || old_2_0 || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (3, '{"": "store.products eaafe012d430", "id": [' || old_3_0 || ']}', 0, 'infinity'::timestamptz, 'review'::text, 'review/0:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'listing'::text, 'listing:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, 0, 'infinity'::timestamptz, 'review'::text, 'review/0:' FROM (SELECT DISTINCT CASE WHEN 0::int8 + coalesce(pg_column_size(o."id"), 0) > 100000 THEN '' ELSE '{' || '"": ' || '"store.products eaafe012d430"' || ', ' || '"id": ' || CASE WHEN o."id" IS NOT NULL THEN to_json(concat(o."id") COLLATE "C")::text ELSE 'null' END || '}' END COLLATE "C" FROM old_rows o
                WHERE true) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSE
        INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'listing',
                md5('listing' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()),('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()),('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
    END IF;
    RETURN NULL;
END$$;
CREATE FUNCTION public.outbox_projections_drop(view text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    said text;
BEGIN
    EXECUTE 'DROP VIEW ' || view;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RAISE dependent_objects_still_exist USING
        MESSAGE = format('the view %s of a projection cannot be put aside: something depends on it', view),
        DETAIL = said, HINT = 'drop that, and make it again, in the migration itself';
END
$$;
CREATE FUNCTION public.outbox_projections_file(relation oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT coalesce(pg_relation_filenode(relation)::text, pg_get_viewdef(relation))
$$;
CREATE FUNCTION public.outbox_projections_functions(view oid, OUT name text, OUT owner oid) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT format('the function %s', p.oid::regprocedure), p.proowner
FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
JOIN pg_proc p ON p.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
WHERE r.ev_class = view
$$;
CREATE FUNCTION public.outbox_projections_make(saved jsonb, below text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    view constant text := saved ->> 'view';
    each record;
    said text;
    state text;
BEGIN
    IF to_regclass(view) IS NOT NULL THEN
        RETURN;  -- the migration has made it anew, for example by the SQL of `projection sql`
    END IF;
    IF (saved -> 'own')::bool THEN  -- before too: literals of a type are read while the view is made
        PERFORM public.outbox_projections_trusted(saved);
    END IF;
    BEGIN
        EXECUTE format('CREATE VIEW %s %s AS %s', view, 'WITH (' || (saved ->> 'options') || ')',
            saved ->> 'query');
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
        SELECT u.*, a.attname AS now, coalesce(a.attisdropped, true) AS gone INTO each
        FROM jsonb_to_recordset(saved -> 'used') u ("table" text, oid oid, num int, name text)
        LEFT JOIN pg_attribute a ON a.attrelid = u.oid AND a.attnum = u.num
        WHERE a.attname IS DISTINCT FROM u.name::name ORDER BY u.oid, u.num LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = state,
            MESSAGE = format('the view %s of the projection %s cannot be made again: %s', view,
                saved ->> 'projections', CASE WHEN each.oid IS NULL THEN said
                WHEN each.gone THEN format('its column %I of %s was dropped', each.name, each.table)
                ELSE format('its column %I of %s was renamed to %I', each.name, each.table, each.now) END),
            HINT = concat(CASE WHEN NOT each.gone
                THEN 'rename the column before outbox_projections_suspend; or ' END,
                CASE WHEN strpos(view, 'outbox_document_') > 0
                THEN 'change the query: outboxctl projection sql FILE prints what makes view and triggers'
                    ' anew, to be run before outbox_projections_resume'
                ELSE 'make the view anew, with another query, before outbox_projections_resume' END);
    END;
    FOR each IN SELECT DISTINCT d.refobjid::regclass AS name
            FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
            WHERE r.ev_class = to_regclass(view) AND NOT saved -> 'reads' ? d.refobjid::text
                AND NOT d.refobjid::regclass::text = ANY (below) LOOP
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the view %s of the projection %s would read another %s than before', view,
                saved ->> 'projections', each.name), HINT = CASE WHEN strpos(view, 'outbox_document_') > 0
                THEN 'change the query: outboxctl projection sql FILE prints what makes view and triggers'
                    ' anew, to be run before outbox_projections_resume'
                ELSE 'make the view anew, with another query, before outbox_projections_resume' END;
    END LOOP;
    IF (saved -> 'own')::bool THEN
        PERFORM public.outbox_projections_trusted(saved);
    END IF;
    IF saved ->> 'owner' <> current_user THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', view, saved ->> 'owner');
    END IF;
    EXECUTE format('COMMENT ON VIEW %s IS %L', view, saved ->> 'comment');
    FOR each IN SELECT * FROM jsonb_to_recordset(saved -> 'columns') c (name text, comment text, value text)
            WHERE num_nonnulls(comment, value) > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', view, each.name, each.comment);
        IF each.value IS NOT NULL THEN
            EXECUTE format('ALTER VIEW %s ALTER %I SET DEFAULT %s', view, each.name, each.value);
        END IF;
    END LOOP;
    FOR each IN SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(grantee)) END AS name
            FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
            WHERE oid = to_regclass(view) LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', view, each.name);
    END LOOP;
    FOR each IN SELECT * FROM jsonb_to_recordset(saved -> 'rights') a (verb text, "to" text, again bool) LOOP
        EXECUTE format('GRANT %s ON %s TO %s', each.verb, view, each."to")
            || CASE WHEN each.again THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_missing(definition jsonb, OUT relation text, OUT name text, OUT of_document boolean) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
SELECT DISTINCT r.name, n, e.of_document FROM (
    SELECT definition -> 'document' AS named, jsonb_path_query_array(definition, '$.key[*].name')
        || coalesce(definition -> 'routing', '[]') || coalesce(definition -> 'version', '[]')
        || jsonb_path_query_array(definition, '$.id.name') AS columns, true AS of_document
    UNION ALL SELECT definition -> 'root', coalesce(definition -> 'columns', '[]')
        || (SELECT jsonb_agg(coalesce(nullif(k -> 'of', '""'), k -> 'name'))
            FROM jsonb_array_elements(definition -> 'key') k), false
    UNION ALL SELECT f -> 'table',
        coalesce(f -> 'key', '[]') || coalesce(f -> 'parameters', '[]') || coalesce(f -> 'columns', '[]'),
        false
    FROM jsonb_array_elements(definition -> 'follow') f
) e, LATERAL format('%I.%I', e.named ->> 'schema', e.named ->> 'name') r (name),
    jsonb_array_elements_text(e.columns) n
WHERE n <> '' AND NOT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = to_regclass(r.name) AND attname = n AND NOT attisdropped)
$_$;
CREATE FUNCTION public.outbox_projections_own(place integer, again boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM public.outbox_projections_saved() s
            WHERE s.saved -> 'place' = to_jsonb(place) AND (s.saved -> 'own')::bool LOOP
        IF again THEN
            PERFORM public.outbox_projections_make(each.saved, each.below);
        ELSE
            PERFORM public.outbox_projections_drop(each.saved ->> 'view');
        END IF;
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_reading(tables regclass[], OUT projection text, OUT relation oid, OUT place integer) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
WITH RECURSIVE family (oid) AS (
    SELECT t::oid FROM unnest(tables) t
    UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
), edges AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS read FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    WHERE r.ev_type = '1'
), above (oid, place) AS (
    SELECT f.oid, 0 FROM family f
    UNION SELECT e.view, a.place + 1 FROM above a JOIN edges e ON e.read = a.oid
), documents (name, oid) AS (
    SELECT p.name::text, to_regclass(format('%I.%I', p.definition #>> '{document,schema}',
        p.definition #>> '{document,name}'))::oid FROM public.outbox_projections p
    UNION SELECT p.name::text, r::oid FROM public.outbox_projections p,
        jsonb_path_query_array(p.suspended, '$.views[*].reads[*]') a, jsonb_array_elements_text(a) r
    UNION SELECT d.name, coalesce(e.read, i.inhrelid) FROM documents d
        LEFT JOIN edges e ON e.view = d.oid LEFT JOIN pg_inherits i ON i.inhparent = d.oid
    WHERE coalesce(e.read, i.inhrelid) IS NOT NULL
)
SELECT d.name, d.oid, max(a.place) FROM documents d LEFT JOIN above a USING (oid)
WHERE d.oid IS NOT NULL AND d.name IN (SELECT b.name FROM documents b JOIN above USING (oid)) GROUP BY 1, 2
$_$;
CREATE FUNCTION public.outbox_projections_resume() RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM public.outbox_projections_saved() LOOP
        IF (each.saved -> 'own')::bool THEN
            PERFORM public.outbox_projections_own((each.saved -> 'place')::int, true);
        ELSE
            PERFORM public.outbox_projections_make(each.saved, each.below);
        END IF;
    END LOOP;
    FOR each IN SELECT * FROM public.outbox_projections_settle() s (said) LOOP
        RAISE NOTICE '%', each.said;
        RETURN NEXT each.said;
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_resumed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM public.outbox_projections WHERE name = NEW.name AND suspended IS NOT NULL) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the views of the projection %s are put aside still', NEW.name),
            HINT = 'SELECT outbox_projections_resume() comes before COMMIT. After SET CONSTRAINTS ALL'
                ' IMMEDIATE it would be too late at once: SET CONSTRAINTS ALL DEFERRED before'
                ' outbox_projections_suspend';
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.outbox_projections_retyped(definition jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
WITH RECURSIVE leaf (name, type) AS (
    SELECT attname, atttypid FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
        AND attrelid = to_regclass(format('%I.%I', definition #>> '{document,schema}',
            definition #>> '{document,name}'))
    UNION ALL SELECT l.name, t.typbasetype FROM leaf l JOIN pg_type t ON t.oid = l.type AND t.typtype = 'd'
)
SELECT string_agg(format('%I is %s', l.name, l.type::regtype), ' and ' ORDER BY l.name)
FROM leaf l JOIN pg_type t ON t.oid = l.type AND t.typtype <> 'd'
JOIN pg_namespace n ON n.oid = t.typnamespace JOIN jsonb_array_elements(definition -> 'key') k
    ON k ->> 'name' = l.name AND k ->> 'type' NOT IN (format('%I.%I', n.nspname, t.typname),
        concat(n.nspname, '.', t.typname))
$$;
CREATE FUNCTION public.outbox_projections_save(tables regclass[], OUT place integer, OUT view text, OUT own boolean) RETURNS SETOF record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    our_owner constant name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c
        WHERE c.oid = (SELECT p.tableoid FROM public.outbox_projections p LIMIT 1));
    each record;
    saved int;
    why text;
BEGIN
    FOR each IN SELECT c.oid::regclass AS name FROM unnest(tables) t JOIN pg_class c ON c.oid = t
            WHERE NOT pg_has_role(session_user, c.relowner, 'MEMBER') LOOP
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of %s', each.name);
    END LOOP;
    PERFORM FROM public.outbox_projections p
    WHERE name IN (SELECT r.projection FROM public.outbox_projections_reading(tables) r)
    ORDER BY name FOR UPDATE;
    FOR each IN SELECT t AS name FROM unnest(tables) t
            WHERE NOT EXISTS (SELECT FROM public.outbox_projections_reading(ARRAY[t])) LOOP
        RAISE NOTICE 'no projection in force reads %', each.name;
    END LOOP;
    -- Of a table that is written anew the file is another one: its values may have changed.
    UPDATE public.outbox_projections p SET suspended = jsonb_build_object(
        'views', coalesce(suspended -> 'views', '[]'),
        'shape', coalesce(suspended -> 'shape', to_jsonb(public.outbox_projections_shape(definition)), 'null'),
        'files', r.files || coalesce(suspended -> 'files', '{}'))
    FROM (SELECT r.projection,
            jsonb_object_agg(r.relation, public.outbox_projections_file(r.relation)) AS files
        FROM public.outbox_projections_reading(tables) r GROUP BY 1) r
    WHERE p.name = r.projection;
    SELECT count(*) INTO saved FROM public.outbox_projections_saved();
    FOR each IN SELECT r.*, c.relnamespace, c.relowner, pg_get_userbyid(c.relowner) AS owner,
                format('%I.%I', n.nspname, c.relname) AS name,
                coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
            FROM (SELECT r.relation, max(r.place) AS highest, min(r.projection) AS projection,
                    string_agg(DISTINCT r.projection, ', ') AS projections
                FROM public.outbox_projections_reading(tables) r WHERE r.place > 0 GROUP BY 1) r
            JOIN pg_class c ON c.oid = r.relation AND c.relkind = 'v'
            JOIN pg_namespace n ON n.oid = c.relnamespace
            ORDER BY r.highest DESC, r.relation LOOP
        why := CASE
            WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = each.relation AND ev_type <> '1')
                THEN 'a rule'
            WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = each.relation) THEN 'a trigger'
            WHEN EXISTS (SELECT FROM pg_seclabel
                WHERE objoid = each.relation AND classoid = 'pg_class'::regclass) THEN 'a security label'
            WHEN EXISTS (SELECT FROM pg_depend WHERE objid = each.relation
                AND classid = 'pg_class'::regclass AND deptype = 'e') THEN 'an extension that it belongs to'
            WHEN EXISTS (SELECT FROM aclexplode(each.acl) WHERE grantor <> each.relowner)
                THEN 'a right that another role than its owner has granted'
            WHEN NOT has_schema_privilege(each.relowner, each.relnamespace, 'CREATE')
                THEN format('the owner %I, who may create nothing in its schema', each.owner) END;
        IF why IS NOT NULL THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('the view %s has %s: it cannot be made again', each.name, why),
                HINT = 'drop it, and make it again, in the migration itself';
        END IF;
        saved := saved + 1;
        place := saved; view := each.name; own := each.owner IN (current_user, our_owner);
        UPDATE public.outbox_projections p SET suspended = jsonb_set(suspended, '{views}', suspended -> 'views'
            || jsonb_build_array(public.outbox_projections_view(each.relation) || jsonb_build_object(
                'place', saved, 'own', own, 'projections', each.projections)))
        WHERE p.name = each.projection;
        RETURN NEXT;
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_saved(OUT saved jsonb, OUT below text[]) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT v, array_agg(v ->> 'view') OVER ()
FROM public.outbox_projections, jsonb_array_elements(suspended -> 'views') v
ORDER BY (v ->> 'place')::int DESC
$$;
CREATE FUNCTION public.outbox_projections_settle() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    each record;
    fault record;
    typed jsonb;
BEGIN
    FOR fault IN SELECT s.saved ->> 'view' AS view, s.saved ->> 'owner' AS owner,
                pg_get_userbyid(c.relowner) AS now
            FROM public.outbox_projections_saved() s
            LEFT JOIN pg_class c ON c.oid = to_regclass(s.saved ->> 'view')
            WHERE pg_get_userbyid(c.relowner) IS DISTINCT FROM (s.saved ->> 'owner')::name LOOP
        IF fault.now IS NULL THEN
            RAISE object_not_in_prerequisite_state USING HINT = 'call outbox_projections_resume()',
                MESSAGE = format('the view %s of the role %s was not made again', fault.view, fault.owner);
        END IF;
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the view %s is there, but belongs to %s, not to %s', fault.view, fault.now,
                fault.owner),
            HINT = format('ALTER VIEW %s OWNER TO %I before outbox_projections_resume', fault.view,
                fault.owner);
    END LOOP;
    FOR each IN SELECT * FROM public.outbox_projections WHERE suspended IS NOT NULL ORDER BY name LOOP
        FOR fault IN SELECT * FROM public.outbox_projections_missing(each.definition) m WHERE m.of_document LOOP
            RAISE undefined_column USING HINT = CASE WHEN strpos(fault.relation, 'outbox_document_') > 0
                THEN 'change the query: outboxctl projection sql FILE prints what makes view and triggers'
                    ' anew, to be run before outbox_projections_resume'
                ELSE 'make the view anew, with another query, before outbox_projections_resume' END,
                MESSAGE = format('the projection %s needs the column %I of %s, which is not there any more',
                    each.name, fault.name, fault.relation);
        END LOOP;
        typed := public.outbox_projections_typed(each.definition);
        IF typed <> each.definition THEN
            UPDATE public.outbox_projections SET definition = typed, applied_at = now() WHERE name = each.name;
            RETURN NEXT format('%s: the new types of its key, or of columns that it follows, were taken over',
                each.name);
        END IF;
        IF public.outbox_projections_retyped(typed) IS NOT NULL THEN
            RETURN NEXT format('%s: of its key %s now, and nothing is read until you run'
                ' outboxctl projection apply FILE', each.name, public.outbox_projections_retyped(typed));
        -- A worker that waited for a lock of this transaction reads a view made anew in a snapshot of before
        -- it: what the migration has written is not there. Its event comes after, and reads all again.
        ELSIF to_jsonb(public.outbox_projections_shape(each.definition)) IS DISTINCT FROM each.suspended -> 'shape'
                OR EXISTS (SELECT FROM jsonb_each_text(each.suspended -> 'files') f
                    JOIN pg_class c ON c.oid = f.key::oid
                    WHERE public.outbox_projections_file(c.oid) <> f.value)
                OR EXISTS (SELECT FROM public.outbox_projections_saved() s
                    WHERE each.name = ANY (string_to_array(s.saved ->> 'projections', ', '))
                        AND public.outbox_projections_file(to_regclass(s.saved ->> 'view')) <> s.saved ->> 'query')
        THEN
            INSERT INTO public.search_outbox_events (entity_type, entity_id, op, entity_key, follow,
                next_retry_at, status, attempts, replay_count, created_at, updated_at)
            VALUES (each.name, md5(each.name || '/-1:')::uuid, 'upsert', '', -1,
                'infinity', 'pending', 0, 0, now(), now());
            RETURN NEXT format('%s: every document is read again; outboxctl projection plan FILE says whether'
                ' its index needs a rebuild', each.name);
        END IF;
        FOR fault IN SELECT DISTINCT m.relation FROM public.outbox_projections_missing(each.definition) m
                WHERE NOT m.of_document AND to_regclass(m.relation) IS NULL LOOP
            RETURN NEXT format('%s: %s is gone: run outboxctl projection apply FILE', each.name,
                fault.relation);
        END LOOP;
        FOR fault IN SELECT * FROM public.outbox_projections_missing(each.definition) m
                WHERE NOT m.of_document AND to_regclass(m.relation) IS NOT NULL LOOP
            RETURN NEXT format('%s: %s has no column %I any more, and until outboxctl projection apply FILE'
                ' each change of it has all documents read again', each.name, fault.relation, fault.name);
        END LOOP;
    END LOOP;
    UPDATE public.outbox_projections SET suspended = NULL WHERE suspended IS NOT NULL;
END
$$;
CREATE FUNCTION public.outbox_projections_shape(definition jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
    AND attrelid = to_regclass(format('%I.%I', definition #>> '{document,schema}',
        definition #>> '{document,name}'))
$$;
CREATE FUNCTION public.outbox_projections_suspend(VARIADIC tables regclass[]) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT * FROM public.outbox_projections_save(tables) LOOP
        IF each.own THEN
            PERFORM public.outbox_projections_own(each.place, false);
        ELSE
            PERFORM public.outbox_projections_drop(each.view);
        END IF;
        RETURN NEXT each.view;
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_trusted(saved jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT n.name, r.rolname AS owner FROM (
            SELECT f.name, f.owner FROM public.outbox_projections_functions(to_regclass(saved ->> 'view')) f
            WHERE NOT saved -> 'runs' ? f.owner::text
            UNION ALL SELECT format('the type %s', t.oid::regtype), t.typowner
            FROM (SELECT u.owner, a.atttypid AS oid
                FROM jsonb_to_recordset(saved -> 'used') u ("table" text, oid oid, name name, owner oid)
                JOIN pg_attribute a ON a.attrelid IN (u.oid, to_regclass(u."table")) AND a.attname = u.name
                UNION ALL SELECT u.owner, to_regtype(u.name)
                FROM jsonb_to_recordset(saved -> 'types') u (name text, owner oid)) was
            JOIN pg_type t ON t.oid = was.oid AND t.typowner <> was.owner
        ) n JOIN pg_roles r ON r.oid = n.owner
        WHERE NOT r.rolsuper AND r.rolname NOT IN (saved ->> 'owner', current_user) ORDER BY 1 LOOP
        RAISE insufficient_privilege USING
            MESSAGE = format('the view %s of the projection %s would use %s of the role %I, who had'
                ' none in it', saved ->> 'view', saved ->> 'projections', each.name, each.owner),
            HINT = format('give it to %I, who owns the view, or to a superuser,'
                ' before outbox_projections_resume', saved ->> 'owner');
    END LOOP;
END
$$;
CREATE FUNCTION public.outbox_projections_type(was text, relation jsonb, name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT coalesce((SELECT format('pg_catalog.%s', t.typname)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(format('%I.%I', relation ->> 'schema', relation ->> 'name'))
        AND a.attname = name AND NOT a.attisdropped
        AND (was IN ('pg_catalog.int2', 'pg_catalog.int4', 'pg_catalog.int8')
                AND t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
            OR was IN ('pg_catalog.varchar', 'pg_catalog.text')
                AND t.oid IN ('text'::regtype, 'varchar'::regtype))), was)
$$;
CREATE FUNCTION public.outbox_projections_typed(definition jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
SELECT definition || jsonb_build_object(
    'key', (SELECT jsonb_agg(k || jsonb_build_object('type', CASE WHEN r.now = d.now THEN d.now ELSE t END)
            ORDER BY place)
        FROM jsonb_array_elements(definition -> 'key') WITH ORDINALITY e (k, place),
            LATERAL (SELECT k ->> 'type', k ->> 'name', coalesce(nullif(k ->> 'of', ''), k ->> 'name')
            ) c (t, n, own),
            LATERAL public.outbox_projections_type(t, definition -> 'root', own) r (now),
            LATERAL public.outbox_projections_type(t, definition -> 'document', n) d (now)),
    'follow', (SELECT coalesce(jsonb_agg(f || jsonb_build_object('types', (
            SELECT coalesce(jsonb_agg(public.outbox_projections_type(t, f -> 'table',
                (CASE f -> 'key' WHEN '[]' THEN f -> 'parameters' ELSE f -> 'key' END) ->> (n - 1)::int)
                ORDER BY n), '[]')
            FROM jsonb_array_elements_text(f -> 'types') WITH ORDINALITY e (t, n))) ORDER BY place), '[]')
        FROM jsonb_array_elements(definition -> 'follow') WITH ORDINALITY e (f, place)))
$$;
CREATE FUNCTION public.outbox_projections_view(view oid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
WITH uses AS (
    SELECT d.refobjid, d.refobjsubid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
        AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    WHERE r.ev_class = view AND d.refobjid <> view
)
SELECT jsonb_build_object('runs', (SELECT coalesce(jsonb_agg(DISTINCT f.owner::text), '[]')
        FROM public.outbox_projections_functions(view) f),
    'types', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', t.oid::regtype,
            'owner', t.typowner)), '[]')
        FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
            AND d.refclassid = 'pg_type'::regclass JOIN pg_type t ON t.oid = d.refobjid
        WHERE r.ev_class = view),
    'view', format('%I.%I', n.nspname, c.relname),
    'owner', pg_get_userbyid(c.relowner), 'query', pg_get_viewdef(c.oid),
    'options', (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)),
        ', ') FROM unnest(c.reloptions) o),
    'comment', obj_description(c.oid, 'pg_class'),
    'columns', (SELECT jsonb_agg(jsonb_build_object('name', a.attname,
            'comment', col_description(a.attrelid, a.attnum), 'value', pg_get_expr(d.adbin, d.adrelid)))
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0),
    'rights', (SELECT jsonb_agg(jsonb_build_object('verb', x.privilege_type || x.columns,
            'to', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
            'again', x.is_grantable))
        FROM (SELECT x.*, '' AS columns FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
            UNION ALL SELECT x.*, format(' (%I)', a.attname) FROM pg_attribute a, aclexplode(a.attacl) x
            WHERE a.attrelid = c.oid) x),
    'reads', (SELECT coalesce(jsonb_agg(DISTINCT d.refobjid::text), '[]') FROM uses d),
    'used', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('table', a.attrelid::regclass,
            'oid', a.attrelid, 'num', a.attnum, 'name', a.attname, 'owner', t.typowner)), '[]')
        FROM uses d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            JOIN pg_type t ON t.oid = a.atttypid
        WHERE d.refobjsubid > 0))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = view
$$;
CREATE FUNCTION public.outbox_reviews_6e08ebdb() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
<<outboxctl>>
DECLARE
    gone boolean;
    number int;
    key_now_1 text;
    key_before_1 text;
    unsure_1 boolean;
    key_now_2 text;
    key_before_2 text;
    unsure_2 boolean;
    moment bigint;
    id_time text;
    id_number bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'product_id' AND (pg_identify_object_as_address(1259, TG_RELID, 3)).object_names[3] = 'stars' AND (pg_identify_object_as_address(1259, TG_RELID, 4)).object_names[3] = 'body', false);
        IF gone THEN
            SELECT count(*) < 4 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'product_id', 'stars', 'body')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1), ('product_id', 2), ('stars', 3), ('body', 4)));
        END IF;
        IF gone THEN
            SELECT count(*) < 4 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'product_id', 'stars', 'body')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1), ('product_id', 2), ('stars', 3), ('body', 4)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.product_id AS o2, o.stars AS o3, o.body AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.product_id AS n2, n.stars AS n3, n.body AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."product_id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body FROM changed c WHERE after IS NOT NULL) n
                WHERE (n."product_id" IS NOT NULL)
                UNION SELECT concat(o."product_id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o2)::record *<> ROW(c.n2)::record)) o
                WHERE (o."product_id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 4 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'product_id', 'stars', 'body')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1), ('product_id', 2), ('stars', 3), ('body', 4)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.product_id AS o2, o.stars AS o3, o.body AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.product_id AS n2, n.stars AS n3, n.body AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body FROM changed c WHERE after IS NOT NULL) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        IF number = 1 THEN
            SELECT CASE WHEN (NULL) IS NOT FALSE AND (n."product_id" IS NOT NULL)
                    THEN concat(n."product_id") COLLATE "C" END,
                CASE WHEN (ROW(c.o2)::record *<> ROW(c.n2)::record) AND (o."product_id" IS NOT NULL) THEN concat(o."product_id") COLLATE "C" END,
                (NULL) IS NULL,
                CASE WHEN (NULL) IS NOT FALSE AND (n."id" IS NOT NULL)
                    THEN concat(n."id") COLLATE "C" END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record) AND (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                (NULL) IS NULL
                INTO key_now_1, key_before_1, unsure_1, key_now_2, key_before_2, unsure_2
            FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.product_id AS o2, n.product_id AS n2, o.stars AS o3, n.stars AS n3, o.body AS o4, n.body AS n4) c
            LIMIT 1;
            IF NOT FOUND THEN
                number := 2;
            ELSE
                IF unsure_1 THEN
                    SELECT CASE WHEN ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END THEN outboxctl.key_now_1 END
                        INTO key_now_1
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.product_id AS o2, n.product_id AS n2, o.stars AS o3, n.stars AS n3, o.body AS o4, n.body AS n4) c
                    LIMIT 1;
                END IF;
                IF unsure_2 THEN
                    SELECT CASE WHEN ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END THEN outboxctl.key_now_2 END
                        INTO key_now_2
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.id AS o1, n.id AS n1, o.product_id AS o2, n.product_id AS n2, o.stars AS o3, n.stars AS n3, o.body AS o4, n.body AS n4) c
                    LIMIT 1;
                END IF;
                IF coalesce(key_now_1, key_before_1, key_now_2, key_before_2) IS NULL THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT * FROM (VALUES (2, key_now_1, NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (3, key_before_1, NULL::int, NULL::timestamptz, 'product'::text, 'product:'), (4, key_now_2, NULL::int, NULL::timestamptz, 'review'::text, 'review:'),
                (5, key_before_2, NULL::int, NULL::timestamptz, 'review'::text, 'review:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix) WHERE entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.product_id AS o2, o.stars AS o3, o.body AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.product_id AS n2, n.stars AS n3, n.body AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 3 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (coalesce(c.before, c.after) - 1) / 500,
                    string_agg('"' || concat(n."product_id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.after IS NOT NULL AND (n."product_id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg('"' || concat(o."product_id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o2)::record *<> ROW(c.n2)::record)
                        AND (o."product_id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.after IS NOT NULL AND (n."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)),
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE c.before IS NOT NULL AND (c.after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)
                        AND (o."id" IS NOT NULL) AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END))
                FROM changed c CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body) o
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body) n GROUP BY 1) k (chunk, new_1_0, old_1_0, new_2_0, old_2_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || coalesce(new_1_0 || ',' || old_1_0, new_1_0, old_1_0) || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (2, '[' || coalesce(new_2_0 || ',' || old_2_0, new_2_0, old_2_0) || ']', -2, 'infinity'::timestamptz, 'review'::text, 'review/-2:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.id AS o1, o.product_id AS o2, o.stars AS o3, o.body AS o4 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.id AS n1, n.product_id AS n2, n.stars AS n3, n.body AS n4 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT concat(n."product_id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body FROM changed c WHERE after IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)) n
                WHERE (n."product_id" IS NOT NULL)
                UNION SELECT concat(o."product_id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body FROM changed c WHERE before IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)
                    AND (after IS NULL OR ROW(c.o2)::record *<> ROW(c.n2)::record)) o
                WHERE (o."product_id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(n."id") COLLATE "C"
                FROM (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body FROM changed c WHERE after IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)) n
                WHERE (n."id" IS NOT NULL)
                UNION ALL SELECT concat(o."id") COLLATE "C"
                FROM (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body FROM changed c WHERE before IS NOT NULL AND (c.before IS NULL OR c.after IS NULL OR ROW(c.o1, c.o2, c.o3)::record *<> ROW(c.n1, c.n2, c.n3)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o4)::int8, 0) + coalesce(pg_column_size(c.n4), 0) > 1000000 THEN true ELSE ROW(c.o4)::record *<> ROW(c.n4)::record END)
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record)) o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM new_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'product_id', false);
        IF gone THEN
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'product_id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1), ('product_id', 2)));
        END IF;
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('product_id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('product_id', 2)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT DISTINCT concat(n."product_id") COLLATE "C" FROM new_rows n
                WHERE (n."product_id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM new_rows n CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (n."product_id" IS NOT NULL) THEN concat(n."product_id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (2, CASE WHEN (n."id" IS NOT NULL) THEN concat(n."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'review'::text, 'review:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 3 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg('"' || concat(n."product_id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (n."product_id" IS NOT NULL)),
                    string_agg('"' || concat(n."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (n."id" IS NOT NULL))
                FROM (SELECT row_number() OVER () AS number, n.id AS n1, n.product_id AS n2, n.stars AS n3, n.body AS n4
                    FROM new_rows n) c
                CROSS JOIN LATERAL (SELECT c.n1 AS id, c.n2 AS product_id, c.n3 AS stars, c.n4 AS body) n GROUP BY 1) k (chunk, new_1_0, new_2_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || new_1_0 || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (2, '[' || new_2_0 || ']', -2, 'infinity'::timestamptz, 'review'::text, 'review/-2:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT DISTINCT concat(n."product_id") COLLATE "C" FROM new_rows n
                WHERE (n."product_id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(n."id") COLLATE "C" FROM new_rows n
                WHERE (n."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 20) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'id' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'product_id', false);
        IF gone THEN
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id', 'product_id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1), ('product_id', 2)));
        END IF;
        IF gone THEN
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('product_id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('product_id', 2)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT DISTINCT concat(o."product_id") COLLATE "C" FROM old_rows o
                WHERE (o."product_id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            SELECT count(*) < 1 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('id')
                AND (attrelid <> 16572 OR (attname, attnum) IN (('id', 1)));
            IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            ELSE
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM old_rows o CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (o."product_id" IS NOT NULL) THEN concat(o."product_id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'product'::text, 'product:'),
                (2, CASE WHEN (o."id" IS NOT NULL) THEN concat(o."id") COLLATE "C" END,
                    NULL::int, NULL::timestamptz, 'review'::text, 'review:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSIF number = 20 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT 3 * k.chunk + v.place AS place, entity_key, follow, next_retry_at, entity_type, prefix FROM (
                SELECT (c.number - 1) / 500,
                    string_agg('"' || concat(o."product_id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (o."product_id" IS NOT NULL)),
                    string_agg('"' || concat(o."id") COLLATE "C" || '"', ',')
                        FILTER (WHERE (o."id" IS NOT NULL))
                FROM (SELECT row_number() OVER () AS number, o.id AS o1, o.product_id AS o2, o.stars AS o3, o.body AS o4
                    FROM old_rows o) c
                CROSS JOIN LATERAL (SELECT c.o1 AS id, c.o2 AS product_id, c.o3 AS stars, c.o4 AS body) o GROUP BY 1) k (chunk, old_1_0, old_2_0)
            CROSS JOIN LATERAL (
                VALUES (1, '[' || old_1_0 || ']', -2, 'infinity'::timestamptz, 'product'::text, 'product/-2:'),
                (2, '[' || old_2_0 || ']', -2, 'infinity'::timestamptz, 'review'::text, 'review/-2:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'product'::text, 'product:' FROM (SELECT DISTINCT concat(o."product_id") COLLATE "C" FROM old_rows o
                WHERE (o."product_id" IS NOT NULL)) c (entity_key)
            UNION ALL SELECT entity_key, NULL::int, NULL::timestamptz, 'review'::text, 'review:' FROM (SELECT concat(o."id") COLLATE "C" FROM old_rows o
                WHERE (o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSE
        INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'product',
                md5('product' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()),('', -1, 'infinity', 'review',
                md5('review' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
    END IF;
    RETURN NULL;
END$$;
CREATE FUNCTION public.outbox_version_base_rises() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.base NOT BETWEEN OLD.base AND greatest(2305843009213693952, OLD.base::numeric + 4294967296)
        AND NOT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for table %s: the base rises,'
            ' to 2305843009213693952 or by 4294967296 at most', TG_TABLE_NAME);
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.outbox_visits_2384c14d() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO, MDY'
    AS $$
<<outboxctl>>
DECLARE
    gone boolean;
    number int;
    key_now_1 text;
    key_before_1 text;
    unsure_1 boolean;
    moment bigint;
    id_time text;
    id_number bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 2) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'day' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'id' AND (pg_identify_object_as_address(1259, TG_RELID, 3)).object_names[3] = 'visitor', false);
        IF gone THEN
            SELECT count(*) < 3 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('day', 'id', 'visitor')
                AND (attrelid <> 16586 OR (attname, attnum) IN (('day', 1), ('id', 2), ('visitor', 3)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'visit',
                md5('visit' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        IF number = 1 THEN
            SELECT CASE WHEN (NULL) IS NOT FALSE AND (n."day" IS NOT NULL AND n."id" IS NOT NULL)
                    THEN replace(replace(concat(n."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(n."id") COLLATE "C", '%', '%25'), ':', '%3A') END,
                CASE WHEN (ROW(c.o1)::record *<> ROW(c.n1)::record OR ROW(c.o2)::record *<> ROW(c.n2)::record) AND (o."day" IS NOT NULL AND o."id" IS NOT NULL) THEN replace(replace(concat(o."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(o."id") COLLATE "C", '%', '%25'), ':', '%3A') END,
                (NULL) IS NULL
                INTO key_now_1, key_before_1, unsure_1
            FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.day AS o1, n.day AS n1, o.id AS o2, n.id AS n2, o.visitor AS o3, n.visitor AS n3) c
            LIMIT 1;
            IF NOT FOUND THEN
                number := 2;
            ELSE
                IF unsure_1 THEN
                    SELECT CASE WHEN ROW(c.o1, c.o2)::record *<> ROW(c.n1, c.n2)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END THEN outboxctl.key_now_1 END
                        INTO key_now_1
                    FROM old_rows o CROSS JOIN new_rows n CROSS JOIN LATERAL (SELECT o.day AS o1, n.day AS n1, o.id AS o2, n.id AS n2, o.visitor AS o3, n.visitor AS n3) c
                    LIMIT 1;
                END IF;
                IF coalesce(key_now_1, key_before_1) IS NULL THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT * FROM (VALUES (2, key_now_1, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:'),
                (3, key_before_1, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix) WHERE entity_key IS NOT NULL) c;
        ELSE
WITH changed AS (
                SELECT * FROM (
                    SELECT * FROM (SELECT row_number() OVER () AS before, o.day AS o1, o.id AS o2, o.visitor AS o3 FROM old_rows o) o
                    FULL JOIN (SELECT row_number() OVER () AS after, n.day AS n1, n.id AS n2, n.visitor AS n3 FROM new_rows n) n
                        ON before = after
                ) c WHERE before IS NULL OR after IS NULL OR ROW(c.o1, c.o2)::record *<> ROW(c.n1, c.n2)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(c.o3)::int8, 0) + coalesce(pg_column_size(c.n3), 0) > 1000000 THEN true ELSE ROW(c.o3)::record *<> ROW(c.n3)::record END
            )
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:' FROM (SELECT replace(replace(concat(n."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(n."id") COLLATE "C", '%', '%25'), ':', '%3A')
                FROM (SELECT c.n1 AS day, c.n2 AS id, c.n3 AS visitor FROM changed c WHERE after IS NOT NULL) n
                WHERE (n."day" IS NOT NULL AND n."id" IS NOT NULL)
                UNION ALL SELECT replace(replace(concat(o."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(o."id") COLLATE "C", '%', '%25'), ':', '%3A')
                FROM (SELECT c.o1 AS day, c.o2 AS id, c.o3 AS visitor FROM changed c WHERE before IS NOT NULL
                    AND (after IS NULL OR ROW(c.o1)::record *<> ROW(c.n1)::record OR ROW(c.o2)::record *<> ROW(c.n2)::record)) o
                WHERE (o."day" IS NOT NULL AND o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM new_rows LIMIT 2) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'day' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('day', 'id')
                AND (attrelid <> 16586 OR (attname, attnum) IN (('day', 1), ('id', 2)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'visit',
                md5('visit' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM new_rows n CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (n."day" IS NOT NULL AND n."id" IS NOT NULL) THEN replace(replace(concat(n."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(n."id") COLLATE "C", '%', '%25'), ':', '%3A') END,
                    NULL::int, NULL::timestamptz, 'visit'::text, 'visit:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:' FROM (SELECT replace(replace(concat(n."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(n."id") COLLATE "C", '%', '%25'), ':', '%3A') FROM new_rows n
                WHERE (n."day" IS NOT NULL AND n."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO number
            FROM (SELECT FROM old_rows LIMIT 2) r;
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        gone := NOT coalesce((pg_identify_object_as_address(1259, TG_RELID, 1)).object_names[3] = 'day' AND (pg_identify_object_as_address(1259, TG_RELID, 2)).object_names[3] = 'id', false);
        IF gone THEN
            SELECT count(*) < 2 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('day', 'id')
                AND (attrelid <> 16586 OR (attname, attnum) IN (('day', 1), ('id', 2)));
        END IF;
        IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'visit',
                md5('visit' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
            RETURN NULL;
        END IF;
        moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
        id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
        id_number := (uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63);
        IF number = 1 THEN
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + place))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT v.* FROM old_rows o CROSS JOIN LATERAL (
                VALUES (1, CASE WHEN (o."day" IS NOT NULL AND o."id" IS NOT NULL) THEN replace(replace(concat(o."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(o."id") COLLATE "C", '%', '%25'), ':', '%3A') END,
                    NULL::int, NULL::timestamptz, 'visit'::text, 'visit:')) v (place, entity_key, follow, next_retry_at, entity_type, prefix)
            WHERE v.entity_key IS NOT NULL) c;
        ELSE
INSERT INTO "public"."search_outbox_events" (id, entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT (id_time || to_hex(id_number + row_number() OVER ()))::uuid, entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:' FROM (SELECT replace(replace(concat(o."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(o."id") COLLATE "C", '%', '%25'), ':', '%3A') FROM old_rows o
                WHERE (o."day" IS NOT NULL AND o."id" IS NOT NULL)) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
        END IF;
    ELSE
        INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'visit',
                md5('visit' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
    END IF;
    RETURN NULL;
END$$;
CREATE FUNCTION public.outbox_visits_2384c14d_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO, MDY'
    AS $$
<<outboxctl>>
DECLARE
    gone boolean;
BEGIN
            SELECT count(*) < 3 INTO gone
            FROM pg_attribute WHERE attrelid = (SELECT TG_RELID) AND attname IN ('day', 'id', 'visitor');
            IF has_column_privilege(16586::oid, 4::int2, 'SELECT') IS NOT NULL THEN
                gone := gone OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = 16586
                    AND attname IN ('day', 'id', 'visitor') AND (attname, attnum) NOT IN (('day', 1), ('id', 2), ('visitor', 3)));
            END IF;
    IF gone THEN
            INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at) VALUES
('', -1, 'infinity', 'visit',
                md5('visit' || '/-1:')::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now());
    ELSE
            IF (TG_OP <> 'UPDATE' OR ROW(OLD.day, OLD.id)::record *<> ROW(NEW.day, NEW.id)::record OR CASE WHEN false THEN false WHEN coalesce(pg_column_size(OLD.visitor)::int8, 0) + coalesce(pg_column_size(NEW.visitor), 0) > 1000000 THEN true ELSE ROW(OLD.visitor)::record *<> ROW(NEW.visitor)::record END) THEN
INSERT INTO "public"."search_outbox_events" (entity_key, follow, next_retry_at, entity_type, entity_id, op, event_version, status, attempts, replay_count, created_at, updated_at)
            SELECT entity_key,
                CASE WHEN entity_key = '' AND follow IS NOT NULL THEN -1 ELSE follow END, next_retry_at,
                entity_type, md5(CASE WHEN entity_key = '' AND follow IS NOT NULL THEN entity_type || '/-1:' ELSE prefix END
                || entity_key)::uuid, 'upsert', NULL, 'pending', 0, 0, now(), now()
            FROM (SELECT entity_key, NULL::int, NULL::timestamptz, 'visit'::text, 'visit:' FROM (SELECT replace(replace(concat(OLD."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(OLD."id") COLLATE "C", '%', '%25'), ':', '%3A') WHERE TG_OP <> 'INSERT' AND (OLD."day" IS NOT NULL AND OLD."id" IS NOT NULL)
                UNION ALL SELECT replace(replace(concat(NEW."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(NEW."id") COLLATE "C", '%', '%25'), ':', '%3A') WHERE TG_OP <> 'DELETE' AND (NEW."day" IS NOT NULL AND NEW."id" IS NOT NULL)
                    AND (TG_OP = 'INSERT' OR NOT (OLD."day" IS NOT NULL AND OLD."id" IS NOT NULL)
                        OR replace(replace(concat(OLD."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(OLD."id") COLLATE "C", '%', '%25'), ':', '%3A') <> replace(replace(concat(NEW."day") COLLATE "C", '%', '%25'), ':', '%3A') || ':' || replace(replace(concat(NEW."id") COLLATE "C", '%', '%25'), ':', '%3A'))) c (entity_key)) c (entity_key, follow, next_retry_at, entity_type, prefix);
            END IF;
    END IF;
    RETURN NULL;
END$$;
CREATE FUNCTION public.outbox_workers_own() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF pg_catalog.pg_has_role(session_user, (SELECT c.relowner FROM pg_catalog.pg_class c
        WHERE c.oid OPERATOR(pg_catalog.=) TG_RELID), 'MEMBER') THEN
        NULL;
    ELSIF TG_OP <> 'INSERT' AND OLD.login <> session_user::varchar
        AND NOT (TG_OP = 'DELETE' AND OLD.heartbeat_at < pg_catalog.now() - interval '1 day') THEN
        RAISE insufficient_privilege
            USING MESSAGE = format('permission denied for table %s: the row of another login', TG_TABLE_NAME);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    NEW.login := CASE WHEN TG_OP = 'UPDATE' AND OLD.login IS NOT NULL THEN OLD.login ELSE session_user END;
    RETURN NEW;
END
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.outbox_deletes (
    id bigint NOT NULL,
    projection text NOT NULL,
    document_id text NOT NULL,
    version bigint NOT NULL,
    routing text DEFAULT ''::text NOT NULL,
    index_name text DEFAULT ''::text NOT NULL,
    delivered_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone NOT NULL
);
ALTER TABLE public.outbox_deletes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_deletes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE store.products (
    id bigint NOT NULL,
    sku text NOT NULL,
    tenant text NOT NULL,
    title text,
    price numeric(10,2),
    color store.color,
    category_id integer,
    unused text
);
CREATE VIEW public.outbox_document_listing AS
 SELECT p.id,
    p.sku,
    p.title
   FROM store.products p;
CREATE TABLE store.categories (
    id integer NOT NULL,
    name text NOT NULL
);
CREATE TABLE store.reviews (
    id integer NOT NULL,
    product_id bigint,
    stars integer,
    body text
);
CREATE VIEW public.outbox_document_product AS
 SELECT p.id,
    p.sku,
    p.tenant,
    p.title,
    p.price,
    p.color,
    c.name AS category,
    ( SELECT json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id) AS json_agg
           FROM store.reviews r
          WHERE (r.product_id = p.id)) AS reviews
   FROM (store.products p
     LEFT JOIN store.categories c ON ((c.id = p.category_id)));
CREATE VIEW public.outbox_document_review AS
 SELECT r.id,
    r.stars,
    r.body,
    p.title
   FROM (store.reviews r
     LEFT JOIN store.products p ON ((p.id = r.product_id)));
CREATE TABLE store.visits (
    day date NOT NULL,
    id bigint NOT NULL,
    visitor text
)
PARTITION BY RANGE (day);
CREATE VIEW public.outbox_document_visit AS
 SELECT v.day,
    v.id,
    v.visitor
   FROM store.visits v;
CREATE TABLE public.outbox_environment (
    singleton boolean DEFAULT true NOT NULL,
    environment character varying(20) NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outbox_environment_environment_check CHECK (((environment)::text = ANY ((ARRAY['dev'::character varying, 'test'::character varying, 'sandbox'::character varying, 'prod'::character varying])::text[]))),
    CONSTRAINT outbox_environment_singleton_check CHECK (singleton)
);
CREATE TABLE public.outbox_operator_audit (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    action character varying(20) NOT NULL,
    operator character varying(120) NOT NULL,
    reason text NOT NULL,
    filters jsonb NOT NULL,
    affected bigint NOT NULL,
    event_ids uuid[] NOT NULL,
    act_id uuid,
    before_reasons text[],
    before_errors text[],
    before_attempts integer[],
    before_times timestamp with time zone[],
    logged_in_as text DEFAULT SESSION_USER
);
CREATE TABLE public.outbox_places (
    projection text NOT NULL,
    document_id text NOT NULL,
    index_name text NOT NULL,
    entity_id uuid NOT NULL,
    entity_key text NOT NULL,
    opened uuid,
    content bytea
)
WITH (fillfactor='80');
CREATE TABLE public.outbox_projections (
    name character varying(50) NOT NULL,
    definition jsonb NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_by character varying(120) NOT NULL,
    suspended jsonb
);
CREATE TABLE public.outbox_rebuilds (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    action character varying(20) NOT NULL,
    alias character varying(255) NOT NULL,
    old_index character varying(255),
    new_index character varying(255) NOT NULL,
    concrete boolean NOT NULL,
    body jsonb NOT NULL,
    phase character varying(20) NOT NULL,
    copied bigint DEFAULT 0 NOT NULL,
    caught_up bigint DEFAULT 0 NOT NULL,
    healed bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    caught_up_to timestamp with time zone DEFAULT now() NOT NULL,
    operator character varying(120) NOT NULL,
    reason text NOT NULL,
    grace_seconds double precision NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    swapped_at timestamp with time zone,
    ended_at timestamp with time zone,
    kept_index character varying(255),
    kept_until timestamp with time zone
);
CREATE TABLE public.outbox_version_base (
    singleton boolean DEFAULT true NOT NULL,
    base bigint DEFAULT 0 NOT NULL,
    system_identifier text,
    timeline text,
    raised_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outbox_version_base_singleton_check CHECK (singleton)
);
CREATE TABLE public.outbox_workers (
    id uuid NOT NULL,
    worker_id character varying(120) NOT NULL,
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    version character varying(40) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    in_flight integer NOT NULL,
    outage_policy character varying(10) NOT NULL,
    circuit_open boolean NOT NULL,
    rate_in double precision,
    rate_out double precision,
    progress_at timestamp with time zone,
    login character varying(63),
    outages jsonb
)
WITH (fillfactor='50');
CREATE TABLE public.outboxctl_alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.search_index (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    entity_type character varying(50) NOT NULL,
    entity_id uuid NOT NULL,
    library_id uuid,
    text text,
    snippet text,
    rank_score double precision,
    event_version bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.search_outbox_events (
    id uuid DEFAULT ((OVERLAY(lpad(to_hex(((EXTRACT(epoch FROM clock_timestamp()) * (4096000)::numeric))::bigint), 15, '0'::text) PLACING '7'::text FROM 13 FOR 0) || substr((gen_random_uuid())::text, 20)))::uuid NOT NULL,
    entity_type character varying(50) NOT NULL,
    entity_id uuid NOT NULL,
    op character varying(20) NOT NULL,
    event_version bigint,
    status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    owner character varying(120),
    lease_token uuid,
    lease_until timestamp with time zone,
    processing_started_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    next_retry_at timestamp with time zone,
    processed_at timestamp with time zone,
    error_reason character varying(80),
    error text,
    replay_count integer DEFAULT 0 NOT NULL,
    last_replayed_at timestamp with time zone,
    last_replayed_by character varying(120),
    last_replayed_reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    traceparent character varying(55),
    entity_key text,
    follow smallint,
    follow_cursor text
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='20000', autovacuum_vacuum_insert_scale_factor='0', autovacuum_vacuum_insert_threshold='50000', autovacuum_analyze_scale_factor='0.01', autovacuum_analyze_threshold='50000', autovacuum_vacuum_cost_limit='1000');
CREATE TABLE store.visits_2025 (
    day date NOT NULL,
    id bigint NOT NULL,
    visitor text
);
CREATE TABLE store.visits_2026 (
    day date NOT NULL,
    id bigint NOT NULL,
    visitor text
);
ALTER TABLE ONLY store.visits ATTACH PARTITION store.visits_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
ALTER TABLE ONLY store.visits ATTACH PARTITION store.visits_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.outbox_deletes OVERRIDING SYSTEM VALUE VALUES
	(1, 'listing', 'sku-39', 830, '', '', '2026-12-07 09:17:07.490069+00', '2026-12-07 09:17:37.490069+00'),
	(2, 'listing', 'sku-40', 830, '', '', '2026-12-07 09:17:07.490069+00', '2026-12-07 09:17:37.490069+00'),
	(3, 'review', '39', 833, '', '', '2026-12-07 09:17:07.499228+00', '2026-12-07 09:17:37.499228+00'),
	(4, 'review', '79', 833, '', '', '2026-12-07 09:17:07.499228+00', '2026-12-07 09:17:37.499228+00'),
	(5, 'review', '38', 833, '', '', '2026-12-07 09:17:07.499228+00', '2026-12-07 09:17:37.499228+00'),
	(6, 'review', '78', 833, '', '', '2026-12-07 09:17:07.499228+00', '2026-12-07 09:17:37.499228+00'),
	(7, 'product', '39', 831, '', '', '2026-12-07 09:17:07.502269+00', '2026-12-07 09:17:37.502269+00'),
	(8, 'product', '40', 831, '', '', '2026-12-07 09:17:07.502269+00', '2026-12-07 09:17:37.502269+00'),
	(9, 'visit', '2026-01-19:30', 835, '', '', '2026-12-07 09:17:07.51407+00', '2026-12-07 09:17:37.51407+00');
INSERT INTO public.outbox_operator_audit VALUES
	('0de55185-cd9f-43e9-a64f-1a8e95d373de', '2026-12-07 09:16:36.091868+00', 'projection apply', 'alice', 'search', '{"projections": {"visit": ["view: create the view public.outbox_document_visit", "triggers: on store.visits, store.visits_2025, store.visits_2026", "declaration: put in force", "documents: every document is read: no projection of this name is in force"], "review": ["view: create the view public.outbox_document_review", "triggers: on store.products, store.reviews", "declaration: put in force", "documents: every document is read: no projection of this name is in force"], "listing": ["view: create the view public.outbox_document_listing", "triggers: on store.products", "declaration: put in force", "documents: every document is read: no projection of this name is in force"], "product": ["view: create the view public.outbox_document_product", "triggers: on store.categories, store.products, store.reviews", "declaration: put in force", "documents: every document is read: no projection of this name is in force"]}}', 0, '{}', NULL, NULL, NULL, NULL, NULL, 'postgres');
INSERT INTO public.outbox_places VALUES
	('listing', 'sku-1', 'former-listings', '07a22895-507e-2f53-a80d-ba070234f4ed', '1', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-2', 'former-listings', 'c65c0953-9343-c677-d8dc-70bb87037db1', '2', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-3', 'former-listings', '6a3b0230-50bd-97d7-adb8-afe85c80fc12', '3', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-4', 'former-listings', '947ddec6-299e-781e-f0b7-652f4b0149b1', '4', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-5', 'former-listings', 'bcb45612-e2af-8143-d617-0c4d8c972efc', '5', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-6', 'former-listings', '5f6781ca-360a-d7c4-210a-88e61fefcd99', '6', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-7', 'former-listings', 'e6082737-9341-f4c5-543f-a71d9b940a18', '7', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('listing', 'sku-8', 'former-listings', '7f2d66d7-69c2-3a93-78c2-646c54aa05ac', '8', '55b45d15-bbcd-4a09-a22a-797fc010d214', NULL),
	('review', '1', 'former-reviews', '9b279f48-7c47-51bc-6539-bb4e54bb557f', '1', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\xd869a65c1443b788188f9c0d65b42f719626848e34e81442ffa3a27c30d851df'),
	('review', '2', 'former-reviews', '5536e910-3cf2-981e-2500-c98032667535', '2', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x339c0d23ceacc5ce0099166b97dcebbea490ef4f951ab76361d9333ed731e295'),
	('review', '3', 'former-reviews', '48d119c4-aaf3-cf12-c3a2-c6d73c52dd95', '3', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x30bcd1aa9e5e281b508090a1f34710ef02b972879a2a8c57553277e24e3439fc'),
	('review', '4', 'former-reviews', '3e92bec8-8b4d-07c2-0084-5fa695e331e0', '4', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x73ab426cfa80ada482d86a2097aca0c31d0c8059b5af862fcca2101869a76323'),
	('review', '5', 'former-reviews', '3b97c5f8-7897-7f36-3bc7-251a4d7e8cbe', '5', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x0117d23578367d1742f6cfd048bf0221e36aa4f9141654f55ce7f6c1b0464afe'),
	('review', '6', 'former-reviews', 'bb26aa80-269d-08f7-1bad-faca4b05a941', '6', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\xc9c12e92bd48c849a40ab983afef1e354896d9dbda35cf65ce488c6912221804'),
	('review', '7', 'former-reviews', 'de1a986b-f2e2-d743-4575-e714b4d8c408', '7', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x9743850eefd76c41dbece1fecaaea4c43d32a01c688e77de24ecc880262de966'),
	('review', '8', 'former-reviews', '0d1b7052-c14a-0337-a4df-24e72d89b60a', '8', 'f6f454a8-2582-4ec9-9839-0f24a6e4db13', '\x2f04e839497c5e7c7532fab51459ff7e264e410febdf6f9b2d158c05241aa2aa'),
	('listing', 'sku-10', 'former-listings', '1117d806-25ed-65a4-b0eb-b7bb1609c61e', '10', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-11', 'former-listings', '58d5deaf-8aee-1085-fd6d-ef4f93d7ce8d', '11', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-12', 'former-listings', '962f96e5-89a6-22a9-807c-ee8a81bd4fee', '12', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-13', 'former-listings', '9a6c9677-b2dc-7d86-a169-96d89dac3fc8', '13', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-14', 'former-listings', 'd0a6c555-5a86-4cb4-44e6-b19e89a28be0', '14', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-15', 'former-listings', '02083c1f-6cde-e37c-027f-08b7833d36ac', '15', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-16', 'former-listings', '322e8248-467d-d1f0-1c0e-bb67b5abec2f', '16', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-17', 'former-listings', 'c2ae3c87-07c0-fbb4-7375-a456e2d67af6', '17', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-18', 'former-listings', '31fbe7af-ded1-a2a4-d9ed-99d0cef39af7', '18', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-19', 'former-listings', '31edb48d-8682-1152-2ec5-c4b1f9eb6597', '19', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-20', 'former-listings', '193fd4a5-3be9-a4de-36d4-e941cdd5f4eb', '20', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-21', 'former-listings', '0feb91a2-0531-40b9-6e4b-0aedcdcb37e9', '21', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-22', 'former-listings', 'bba5163a-0bb0-957f-b0c9-0399c1365566', '22', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-23', 'former-listings', 'b86a02b1-fd4f-7c43-727c-c3b61be49b86', '23', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-24', 'former-listings', 'cc03c640-adbc-e578-359b-634bbc6d5f4b', '24', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-9', 'former-listings', '06417900-e5ca-c354-a6f7-fe21ea1307a5', '9', 'f70ab1f5-d0c0-4312-9178-21646aa6faac', NULL),
	('listing', 'sku-25', 'former-listings', 'fc8db648-2cdd-93c5-98b9-79c0d9082495', '25', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-26', 'former-listings', 'a8d9cb72-5175-ea77-3e67-dd2165315215', '26', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-27', 'former-listings', '2374f74f-e2cd-ecda-8199-d610f44d820e', '27', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-28', 'former-listings', 'ff7a3a25-79c3-4a5d-a6dd-6394558b2ad5', '28', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-29', 'former-listings', '63543abb-6891-b2eb-1471-3b989924ad08', '29', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-30', 'former-listings', '1f5aceac-3d02-a53c-fc73-bb842d876e32', '30', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-31', 'former-listings', '309ac2c5-3485-cf9f-dbcd-00169343dd0e', '31', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-32', 'former-listings', '73ebbc6c-8e3f-ffd9-22bf-c6ae2feda56b', '32', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-33', 'former-listings', 'd9d1828f-c8f1-70bc-398b-dcabdbc8b25f', '33', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-34', 'former-listings', 'ddc62e50-3a88-92f1-66aa-aaa8de64de68', '34', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('review', '10', 'former-reviews', 'e28493e7-6ef5-0de7-cd83-f7abbf6e3fd8', '10', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x87700244bbfb08bec43df7139928fbec40beb35d69d6d8b8411a3dec00419a4e'),
	('review', '11', 'former-reviews', 'e943972a-0402-4b3a-d3e1-5af768b511dc', '11', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x0e41801f5a018008493b173b52160739e5acc115ba3c5aa3796f1141d3d202e7'),
	('review', '12', 'former-reviews', '5be3bfc7-ca69-58ff-491a-993323e72b10', '12', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x19ada9d7b1ea2cafb36bcff8584265c282e97fbb9f7a523a00c28150cb7f6e31'),
	('review', '13', 'former-reviews', '35ce7028-78e2-1624-63f1-6b8211102dda', '13', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x0cd89e31242f9812e8a53b40c4d2c898a483645d30dcedede2c45969dc820e44'),
	('review', '14', 'former-reviews', '73eae6c7-49fb-2252-8e16-b1bd21ba11f9', '14', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x0096f57e81bf870b73c91ecc87b907db85031e3dda5ea6de3a7edd61721a1a2a'),
	('review', '15', 'former-reviews', '5524cc38-b687-5e5d-4c76-909c6ef56f20', '15', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\xa2b85d4872dedee587b383b9219724b4346e23ee8ca0da54505f6afe67785e0c'),
	('review', '16', 'former-reviews', '643f65c7-3003-e374-0eb1-9614ae023977', '16', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x883499bc2bd53a46493c0f5909893eee0cff4668db30419c3cbc949beeef32bc'),
	('review', '17', 'former-reviews', '0f51232a-d6f0-1e29-3af7-f10d48ddde82', '17', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x103be106ec8dc7d8f6a26bdce90f23d56d3be158123c419d76111e39700bd3a1'),
	('review', '18', 'former-reviews', '538c5d15-3344-3b7a-bfba-e355198a47d7', '18', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x9503a8d6e7bce9f7da31529d765bd888d6aef88f023d3233fc7f7d508ffb2823'),
	('review', '19', 'former-reviews', '6e1ac5f8-47f0-f168-e775-ba70138e59f5', '19', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x82a4e7ca68e30803fbab755ec81b2f659fe423a93f6cf513ca644432d6edc52f'),
	('review', '20', 'former-reviews', '611f2f63-a770-b816-e65a-1faac3cf20f9', '20', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x141ef5194a9b4bbe617235073862db0e68bc6317fc781757b2345dd3419f41af'),
	('review', '21', 'former-reviews', '4757318d-a838-991b-0b6d-c4e761f3fbc2', '21', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x9061adbcbb6f15ca2d80df7daf4fcad05aeaab8d9ffa3bfad5caf5553be495f2'),
	('review', '22', 'former-reviews', '4d6a866d-f272-d133-7d9c-84d18c3adbf5', '22', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\xfc23aab83105bbcae5c42568d4ec31403f3ada184c3eb36f49598088f8cdc0a3'),
	('review', '23', 'former-reviews', '67fb5f8e-da31-5aa2-f2a9-f77a1d81e066', '23', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\x58761db2c0745f2dee4a38de64773d31ee52cfaddcb6c3920761a8f86881681a'),
	('review', '24', 'former-reviews', '0f9bdeb3-c0b6-0191-9a94-3dc735f78689', '24', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\xf0e9168c92eabb3b1d8b81aeb0154541af9bc0bcbb0d88d05de5a3d0cafd6c41'),
	('review', '9', 'former-reviews', '6c582d51-6b23-2d09-2f23-8b1bf55a3b44', '9', '9f210970-43a9-4928-b24c-d1cdd4922fcb', '\xec6ca8f3dbbcc5a8945be0e58612405c2252425118079b3c47d994d13746e97f'),
	('review', '57', 'former-reviews', 'ca88260b-3b15-5519-b90e-141a7f3f93c6', '57', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\xaae6b9c82d2f286e7fe40d10c4b47e2141453d20280eda9e3c2cb35cca9e0a11'),
	('listing', 'sku-35', 'former-listings', '65977171-c35c-9cd3-1cc4-d1c02cd0f2d3', '35', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-36', 'former-listings', '340faa9b-e362-3fda-af21-6ec1b644637a', '36', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-37', 'former-listings', '3e2ff442-9ffa-1e6a-deed-15d09435af5d', '37', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('listing', 'sku-38', 'former-listings', '9a37f570-e744-1462-b969-6b0e9e29b736', '38', '6b756573-cea6-4af5-a403-6c84657d06e1', NULL),
	('review', '25', 'former-reviews', 'bd2f3c9e-a829-39de-f2fd-10edfc1e52f2', '25', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x409bdc92948f0887985609d360f821b9c2e6606fa8f42fc808a8cc60eaa74175'),
	('review', '26', 'former-reviews', '052f818f-622a-b58e-6488-3d5e0ab5ac62', '26', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x18ead719f5935463e7d132c4119fa160fe24d96d48010059e19fd042de79cecc'),
	('review', '27', 'former-reviews', '21bb0882-2f80-dd16-eac7-d668395672ae', '27', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x04c8b2e46af7d2a2761710851d24f25cd105cd2a41f44c738575e2da16b2dafc'),
	('review', '28', 'former-reviews', '61819a52-6076-8a8f-23d0-51ba1bbf00ab', '28', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x3b9cf750182d07ae919688c535289f0b54adddf720edeca52626b4d349f93254'),
	('review', '29', 'former-reviews', '4d76202a-1fd3-a265-ab6b-e237866bd968', '29', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x4bea411e3d2410381a030c37aa44e393059adff75172cc2447ee08cc86e2e8c7'),
	('review', '30', 'former-reviews', '5f5a032e-9582-3a27-8a74-d5f3898973db', '30', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x139a4b96474ab443ab3b200bcf7bb1bfc09395bcbf73724abc700b4cb1c60406'),
	('review', '31', 'former-reviews', 'e1e0036d-27f2-b370-c491-7b2f2ac5e603', '31', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xee5789dcea7101609e4867f8794cca3bb6ccbedc2551417cfd131f63fcc157e3'),
	('review', '32', 'former-reviews', 'c6a025ea-ade9-8f8e-2981-62d93884cd4c', '32', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x48e68dcbf62152666ab54493c9ef96b28657d90fc97729c8c668e9711cb0dbda'),
	('review', '33', 'former-reviews', 'de7fa8ea-4fa9-a8d0-e7fc-56e739415a34', '33', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xbf190a2e8cadd1fa2397497665bf2ae86f40a1d6db8b7ae4509fbb11d08867ee'),
	('review', '34', 'former-reviews', '02b1a1d5-bbbf-2ada-18a9-057b0b6d7115', '34', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xc5957bb372c50b2b7c241ece31e174adb789b5f1ce4fa78295a6192c292f9f3a'),
	('review', '35', 'former-reviews', 'b49d4bca-1c1b-c871-b2b4-e66f75ede97b', '35', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x5edad6fae163d8a50c24ee535616102e0b501ceaaeebc375e9f1617ec7e728b2'),
	('review', '36', 'former-reviews', '816c878c-3ef2-628c-18e5-867f4bb68954', '36', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x38eb07a7e959f2dbc09756b533f78578a22b416cde9d9624c864223ada4c50f1'),
	('review', '37', 'former-reviews', '42077802-6e5b-388b-9627-13185d75b6b7', '37', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xe4b3db6fb5d966727232354438efd0ba38b6aedd242bebc802edb661edbec2e6'),
	('review', '40', 'former-reviews', '29d16abe-4755-3855-e187-04ba414c4be5', '40', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x5c8346ee63de908b2764589185d2ef5e064a4051d41b6daef612a8397810def9'),
	('review', '41', 'former-reviews', '25f0acac-42e7-2028-8054-cafbaf67bdf5', '41', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x5daea7761c441590c24b801e59d1058a2ebae87533d8bd2f93ff040da8abe134'),
	('review', '42', 'former-reviews', 'eca8976c-77dc-bac3-9e29-b13fbebc3582', '42', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x73fb5ec493fe38f32cf43cc4c9993b5f103d46446616cd94d9e1443d87c4e554'),
	('review', '43', 'former-reviews', '83555632-a753-e221-e1db-90e4b3d84f5f', '43', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x34fcc9894ea50bd6b235dcc7029e9aee692013ad1d123d8b25a416ef93579465'),
	('review', '44', 'former-reviews', 'ea42fa14-7cea-f557-812a-24d2b7743d23', '44', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x6766599e3c367b10e979dc64690807527eab7094882d0b98348307c72494ed3b'),
	('review', '45', 'former-reviews', '94bc19b8-808b-25a4-1976-40ca982d40af', '45', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x01d26adf0c1e9a4c84220963ca9e2a90396716a41ca1ea008bc6acbc1b71ab69'),
	('review', '46', 'former-reviews', '03f7d716-0e8e-4c89-1320-187589a6abbd', '46', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xc89301f0562c102e1aa4c0130ef4087ec9e17d82773e3b7577158df365f0fbd9'),
	('review', '47', 'former-reviews', 'aeefb637-a026-169e-2e0d-3dbda5f59a4c', '47', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x0b15344b55bb51f107211f415c7283c35706c4e9f482b9e08dd43062cfb95075'),
	('review', '48', 'former-reviews', '33eee118-f0da-f257-13ef-88de96a99275', '48', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xcbabbce38f277238755ac3a93e87278dd01317f538cc497738d6609d69d5e147'),
	('review', '49', 'former-reviews', 'c515c1ec-2d8d-88ed-861f-f73adf3edd8b', '49', '0fe372b1-701b-412f-9986-a23f99f3b130', '\xdaf1069b4b079f7c4421a925a838227fec15796f5d0079c813da7e16cf1eb75e'),
	('review', '50', 'former-reviews', 'c387f287-b497-0160-813f-63a6502abefa', '50', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x5a58330a7e5ed97bed42243fb2fbfa669acdebfbbc879444966abd06f9d22e07'),
	('review', '51', 'former-reviews', '27cc8cf1-5a68-5736-7bcc-1d9787e83644', '51', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x799868cc7784608ffe408fee5aa9e5e251d5715049bd540104ff6fe967196453'),
	('review', '52', 'former-reviews', 'e1e195fd-d773-3a3b-c0b1-96e504a069e8', '52', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x4979f1e0abb4c801d4c9facc70f349e0ede8e121eb9f0efc44862422789900d5'),
	('review', '53', 'former-reviews', '9e117262-ff61-86a3-ff47-0f8bf4616878', '53', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x5368aa1bb7ddb841b8a1ad37582ce803fd5b47c8750ed35241e974843dd93aa0'),
	('review', '54', 'former-reviews', 'f4144b72-72cd-13e1-5910-8dda6ba95f3e', '54', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x10d0273e060f08e69b5c9d4eddf350a7f95c01918ef5f99c8077313413cec1c3'),
	('review', '55', 'former-reviews', 'a93d67e3-5313-533e-bb23-35c8b37b2348', '55', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x388b6b4584b1878cfc2e00f2c18afc32cbe9c771c67e6e75e21af1de85120a73'),
	('review', '56', 'former-reviews', 'c70d8836-4910-8f0e-1308-036bd5fd9989', '56', '0fe372b1-701b-412f-9986-a23f99f3b130', '\x80340fe4ac457fa6b737b0e5ae59c2afbc4590e08971b5995a9b4497b6190cfa'),
	('review', '58', 'former-reviews', 'dc755180-985d-13eb-182e-f34860d7befc', '58', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x01c7ebfb3ef80e79b266b2408e5ba215acd0121438719cac6a553baebf9bf039'),
	('review', '59', 'former-reviews', '2acd8eed-59b8-4d1f-dc46-295c54c688d9', '59', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x444dc8b66d18f8fe44f6289aea638bab45719aa523314de57477e6dadfa7e13e'),
	('review', '60', 'former-reviews', '31b7b5b3-2ab7-95de-b2be-0b2c289c238b', '60', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\xc7f7686f5e0c5ade07dde87c754550e0c07dba5bfabd19711447e8f41b911202'),
	('review', '61', 'former-reviews', 'ccd0f812-a9bb-7ecb-4842-65469192db9f', '61', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x9c240b487fc845afd053fd2b6b4c83e334b76c6e47400222b5bf3b097b2c045d'),
	('review', '62', 'former-reviews', '0d0686d1-2d9f-8b78-ad33-ab6a70507141', '62', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x99e8bdb2a6a4d95456f9f34d8ae165d885d2a49d21877cef0a2776df492bf3c2'),
	('review', '63', 'former-reviews', '54c4f0ae-f9f4-44a3-9940-0cd1432e9bd6', '63', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x0e350e40a09ac9aac2ffa88aa977b026ea4e2bcf7443f0840a08ca732e11b1a8'),
	('review', '64', 'former-reviews', '79f22c5c-6fda-9bfc-c698-9f31af2d315d', '64', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x97a8938218d3b200c155d866b8f429554338693dc4e06147e636006aa35c342f'),
	('review', '65', 'former-reviews', '0bf1aa60-bb9d-5b76-37a7-e2e834b716bb', '65', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x6e0ca6bac69677109c6ffe58e3f6667888e7a885d4b28ece3bc8fb2b848c81ba'),
	('review', '66', 'former-reviews', 'c09c6546-3fd5-b409-2fa5-c967ca8e4020', '66', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\xbee35f59c67e455f597cae92286507c8cba29b193d42157f0255efb00aa389be'),
	('review', '67', 'former-reviews', '87f66f21-1d4c-17f5-4710-095082ff5d91', '67', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x45f0d00573eb61c9351aca339cb3a30853cb68536bb9e37aaab5d2ad99751b21'),
	('review', '68', 'former-reviews', '4c60e560-0021-728e-9cde-a5ef04308018', '68', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\xe3167f2ea3b63d5d4da522adca0779bc83ea13123d976d376fff9dcd157fb7b6'),
	('review', '69', 'former-reviews', '8784cb18-eee0-3e11-7772-5e4ae712af54', '69', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x07fd68a6960e0e1db74b350c7ff63b08997218fd9bcc3f2be79debb6e3c731e6'),
	('review', '70', 'former-reviews', '94f4cdc3-0166-eab4-e3cd-d3fc81ad95ed', '70', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x544fef5e24a7018cf263ee5d71d630875415a51c58358fa16a71f4f15fc13304'),
	('review', '71', 'former-reviews', '2a161e1d-35d5-67f4-52dd-2c39277b7a19', '71', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x1fc489ccb282bcde24e193c468475a2342e121280d2f0bd54e36c57b399455ae'),
	('review', '72', 'former-reviews', 'beade9d4-0a71-5d8a-1f53-35d63caf9356', '72', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x0832789bab5f3250f4481cf7d96dc8f5764e6c641c2c880fe9249063f32bce43'),
	('review', '73', 'former-reviews', 'fdb59483-cd17-02b5-9752-e75ce5d855ae', '73', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x46c635a5247e64ab9dd4b7a4d336b0ed1026521ef9e7fc21b5fbb537753676f1'),
	('review', '74', 'former-reviews', 'ce90396f-27db-77b4-df60-17fe7d2a4326', '74', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x6d06ffc4dafa94a4375fad32e9c6855e45bc600654728cea3a76d2788d5de59c'),
	('review', '75', 'former-reviews', '5efa95e0-a5e9-7494-82a4-bfa0f2dae95c', '75', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x407ee28fd1c2a4c0d8fc52ab2f87c0ebe64e48ea8f94c43c5b0e471e5d85dc1c'),
	('review', '76', 'former-reviews', '3d2392c8-4cba-6eff-09e6-9982e1b6463c', '76', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x5040439e71cee0ec203c464f4bf6e6c25db361d796008149e634dbec5cc38276'),
	('review', '77', 'former-reviews', 'eea9abbb-0ab0-42e4-3f63-5a5736370230', '77', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\x70a1321f868ae02d2375908c07a1eb66bb5c6afe7253f28efef022b0a7313f86'),
	('review', '80', 'former-reviews', 'be11b82d-c72f-268a-171b-d7bffc347c62', '80', '8d904fa9-9ccb-4634-9b8d-1bc05a77cdcd', '\xdc033eec5454a085942df2d2cfcc1115a438c2acbd21c6d1cbc09049c58a248a');
INSERT INTO public.outbox_projections VALUES
	('product', '{"id": null, "key": [{"of": "", "name": "id", "type": "pg_catalog.int8"}], "body": "", "name": "product", "root": {"name": "products", "schema": "store"}, "view": "a5fa402c13d9edcca7a8fbda9741cda2", "index": "former-products", "column": "", "family": "", "follow": [{"all": false, "key": [], "keys": "SELECT t1.\"id\" FROM \"store\".\"products\" t1 WHERE t1.\"category_id\" = :id", "name": "store.categories 36aa7739b1bd", "table": {"name": "categories", "schema": "store"}, "types": ["pg_catalog.int4"], "columns": ["id", "name"], "parameters": ["id"]}, {"all": false, "key": ["product_id"], "keys": "", "name": "store.reviews 37e293614bdb", "table": {"name": "reviews", "schema": "store"}, "types": ["pg_catalog.int8"], "columns": ["body", "id", "product_id", "stars"], "parameters": []}], "ignore": [], "schema": "", "columns": ["category_id", "color", "id", "price", "sku", "tenant", "title"], "mapping": "", "objects": "{\"reviews\": {\"properties\": {\"body\": {\"fields\": {\"keyword\": {\"ignore_above\": 256, \"type\": \"keyword\"}}, \"type\": \"text\"}, \"stars\": {\"type\": \"integer\"}}}}", "routing": "tenant", "vectors": [], "version": "", "document": {"name": "outbox_document_product", "schema": "public"}, "pipeline": "", "triggers": true, "id_prefix": "", "skip_unchanged": false}', '2026-12-07 09:16:36.091868+00', 'alice', NULL),
	('review', '{"id": null, "key": [{"of": "", "name": "id", "type": "pg_catalog.int4"}], "body": "", "name": "review", "root": {"name": "reviews", "schema": "store"}, "view": "e75c65ae8228335596c0ef0d4496a41e", "index": "former-reviews", "column": "", "family": "", "follow": [{"all": false, "key": [], "keys": "SELECT t1.\"id\" FROM \"store\".\"reviews\" t1 WHERE t1.\"product_id\" = :id", "name": "store.products eaafe012d430", "table": {"name": "products", "schema": "store"}, "types": ["pg_catalog.int8"], "columns": ["id", "title"], "parameters": ["id"]}], "ignore": [], "schema": "", "columns": ["body", "id", "product_id", "stars"], "mapping": "", "objects": "", "routing": "", "vectors": [], "version": "", "document": {"name": "outbox_document_review", "schema": "public"}, "pipeline": "", "triggers": true, "id_prefix": "", "skip_unchanged": true}', '2026-12-07 09:16:36.091868+00', 'alice', NULL),
	('listing', '{"id": {"of": "", "name": "sku", "type": "pg_catalog.text"}, "key": [{"of": "", "name": "id", "type": "pg_catalog.int8"}], "body": "", "name": "listing", "root": {"name": "products", "schema": "store"}, "view": "7102fb75dad3be3c6fdf2c7c555e9692", "index": "former-listings", "column": "", "family": "", "follow": [], "ignore": [], "schema": "", "columns": ["id", "sku", "title"], "mapping": "", "objects": "", "routing": "", "vectors": [], "version": "", "document": {"name": "outbox_document_listing", "schema": "public"}, "pipeline": "", "triggers": true, "id_prefix": "", "skip_unchanged": false}', '2026-12-07 09:16:36.091868+00', 'alice', NULL),
	('visit', '{"id": null, "key": [{"of": "", "name": "day", "type": "pg_catalog.date"}, {"of": "", "name": "id", "type": "pg_catalog.int8"}], "body": "", "name": "visit", "root": {"name": "visits", "schema": "store"}, "view": "bd02e7223d1229ecfa1710f0603f9c77", "index": "former-visits", "column": "", "family": "", "follow": [], "ignore": [], "schema": "", "columns": ["day", "id", "visitor"], "mapping": "", "objects": "", "routing": "", "vectors": [], "version": "", "document": {"name": "outbox_document_visit", "schema": "public"}, "pipeline": "", "triggers": true, "id_prefix": "", "skip_unchanged": false}', '2026-12-07 09:16:36.091868+00', 'alice', NULL);
INSERT INTO public.outbox_version_base VALUES
	(true, 0, '7716488452811025101', '00000001', '2026-12-07 09:16:39.503613+00');
INSERT INTO public.outboxctl_alembic_version VALUES
	('0002_suspended_views');
INSERT INTO public.search_index VALUES
	('8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e', 'block', 'cd3dc8b6-cffb-41e4-163d-cbd857ca87da', NULL, 'text 1', 'snippet', 1, 1, '2026-12-07 09:17:06.126378+00', '2026-12-07 09:17:06.126378+00'),
	('7e7cb681-4b74-d659-6098-fc80127569a5', 'block', '38de3f7d-221a-2910-7108-74b0b220cb26', NULL, 'text 4', 'snippet', 4, 1, '2026-12-07 09:17:06.126378+00', '2026-12-07 09:17:06.126378+00'),
	('437f5780-9f82-b9e2-947f-70fd488eb536', 'block', '72baa9d5-20b1-27dd-4ab0-3ff904cc1959', NULL, 'text 5', 'snippet', 5, 1, '2026-12-07 09:17:06.126378+00', '2026-12-07 09:17:06.126378+00'),
	('fac98944-7cad-2edb-c89f-bcba70003b36', 'block', '68a9e49b-bc88-c020-83a0-62a78ab3bf30', NULL, 'newer text', 'snippet', 2, 2, '2026-12-07 09:17:06.126378+00', '2026-12-07 09:17:08.730299+00');
INSERT INTO public.search_outbox_events VALUES
	('6654c734-ccab-8f44-0ff0-825eb443dc7f', 'block', 'cd3dc8b6-cffb-41e4-163d-cbd857ca87da', 'upsert', 1, 'done', NULL, NULL, NULL, NULL, 1, NULL, '2026-12-07 09:17:06.896139+00', NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:06.1289+00', '2026-12-07 09:17:06.896139+00', NULL, NULL, NULL, NULL),
	('1b267619-c481-2cc4-6ee2-81747884ca50', 'block', '68a9e49b-bc88-c020-83a0-62a78ab3bf30', 'upsert', 1, 'done', NULL, NULL, NULL, NULL, 1, NULL, '2026-12-07 09:17:06.896139+00', NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:06.1289+00', '2026-12-07 09:17:06.896139+00', NULL, NULL, NULL, NULL),
	('43a03299-a3c3-fed3-d8ce-7b820f3aca81', 'block', '7ed21b04-c0dc-de1c-638e-5c8480ad0026', 'upsert', 1, 'done', NULL, NULL, NULL, NULL, 1, NULL, '2026-12-07 09:17:06.896139+00', NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:06.1289+00', '2026-12-07 09:17:06.896139+00', NULL, NULL, NULL, NULL),
	('5ed3a3ff-8e5c-2997-9502-b9030e8518e0', 'block', '38de3f7d-221a-2910-7108-74b0b220cb26', 'upsert', 1, 'done', NULL, NULL, NULL, NULL, 1, NULL, '2026-12-07 09:17:06.896139+00', NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:06.1289+00', '2026-12-07 09:17:06.896139+00', NULL, NULL, NULL, NULL),
	('4b6df019-46f4-919a-3f5a-f8c1f0f9c3c5', 'block', '72baa9d5-20b1-27dd-4ab0-3ff904cc1959', 'upsert', 1, 'done', NULL, NULL, NULL, NULL, 1, NULL, '2026-12-07 09:17:06.896139+00', NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:06.1289+00', '2026-12-07 09:17:06.896139+00', NULL, NULL, NULL, NULL),
	('bae60998-ffe4-923b-131e-3d6e4c19993e', 'block', 'cd3dc8b6-cffb-41e4-163d-cbd857ca87da', 'not-a-real-op', 2, 'failed', NULL, NULL, NULL, NULL, 1, NULL, NULL, 'deterministic_exception', 'ValueError: Unknown outbox op: ''not-a-real-op''', 0, NULL, NULL, NULL, '2026-12-07 09:17:08.077346+00', '2026-12-07 09:17:08.550907+00', NULL, NULL, NULL, NULL),
	('0c10f4a0-c12b-a892-1123-5026b861263d', 'block', '68a9e49b-bc88-c020-83a0-62a78ab3bf30', 'upsert', 2, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.732746+00', '2026-12-07 09:17:08.732746+00', NULL, NULL, NULL, NULL),
	('50c1f58b-e7f5-e47e-0f53-d64c094783c2', 'block', '7ed21b04-c0dc-de1c-638e-5c8480ad0026', 'delete', 2, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.735157+00', '2026-12-07 09:17:08.735157+00', NULL, NULL, NULL, NULL),
	('01a24fca-ed05-7e5e-8bdf-47f8c78fb76c', 'review', 'c334b01e-16dd-3c75-1590-4fc0cd0dc65b', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.739562+00', '2026-12-07 09:17:08.739562+00', NULL, '{"": "store.products eaafe012d430", "id": "5"}', 0, NULL),
	('01a24fca-ed07-7814-998b-60947ea0bf38', 'listing', '5f6781ca-360a-d7c4-210a-88e61fefcd99', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.743021+00', '2026-12-07 09:17:08.743021+00', NULL, '6', NULL, NULL),
	('01a24fca-ed07-7814-998b-60947ea0bf3a', 'product', 'b373d568-0b39-3d2f-6212-2fcb7e00f512', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.743021+00', '2026-12-07 09:17:08.743021+00', NULL, '6', NULL, NULL),
	('01a24fca-ed09-784e-9120-c276ce9416d3', 'product', '77090075-507a-84c7-65e1-37aa6fca3885', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.744241+00', '2026-12-07 09:17:08.744241+00', NULL, '["2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19","20","21","22","23","24","25","26","27","28","29","30","31","32","33","34","35","36","37","38","1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19","20","21","22","23","24","25","26","27","28","29","30","31","32","33","34","35","36","37","38","1"]', -2, NULL),
	('01a24fca-ed09-784e-9120-c276ce9416d4', 'review', '35af12ce-885f-267a-9e19-d703d147052b', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.744241+00', '2026-12-07 09:17:08.744241+00', NULL, '["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17","18","19","20","21","22","23","24","25","26","27","28","29","30","31","32","33","34","35","36","37","40","41","42","43","44","45","46","47","48","49","50","51","52","53","54","55","56","57","58","59","60","61","62","63","64","65","66","67","68","69","70","71","72","73","74","75","76","77","80"]', -2, NULL),
	('01a24fca-ed0d-72d9-9f57-1f680eb259f0', 'listing', 'e6082737-9341-f4c5-543f-a71d9b940a18', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '7', NULL, NULL),
	('01a24fca-ed0d-72d9-9f57-1f680eb259f1', 'product', 'd6fffe0c-2b15-4ea7-74ff-ee707a08710e', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '7', NULL, NULL),
	('01a24fca-ed0d-72d9-9f57-1f680eb259f2', 'review', 'a98ef7b8-a708-037b-e5ad-8969ce17e017', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '{"": "store.products eaafe012d430", "id": "7"}', 0, NULL),
	('01a24fca-ed0e-7239-986f-b736008dfa6c', 'product', 'd6fffe0c-2b15-4ea7-74ff-ee707a08710e', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '7', NULL, NULL),
	('01a24fca-ed0e-7239-986f-b736008dfa6d', 'review', 'bb26aa80-269d-08f7-1bad-faca4b05a941', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '6', NULL, NULL),
	('01a24fca-ed0e-7239-986f-b736008dfa6e', 'review', '03f7d716-0e8e-4c89-1320-187589a6abbd', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.748102+00', '2026-12-07 09:17:08.748102+00', NULL, '46', NULL, NULL),
	('01a24fca-ed10-7872-8418-dda2b3b4bbb9', 'listing', 'e240a2a6-8c9e-7024-0175-c19c470bb669', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.751589+00', '2026-12-07 09:17:08.751589+00', NULL, '41', NULL, NULL),
	('01a24fca-ed10-7872-8418-dda2b3b4bbba', 'product', '1f06b437-b5db-89e4-8c3b-be829802dc76', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.751589+00', '2026-12-07 09:17:08.751589+00', NULL, '41', NULL, NULL),
	('01a24fca-ed05-7e5e-8bdf-47f8c78fb768', 'listing', 'bcb45612-e2af-8143-d617-0c4d8c972efc', 'upsert', NULL, 'processing', 'former:1', '1adc13cf-053c-4d8e-60b6-a20a9e611123', '2026-12-07 09:16:08.756262+00', '2026-12-07 09:15:08.756262+00', 1, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.739562+00', '2026-12-07 09:17:08.739562+00', NULL, '5', NULL, NULL),
	('01a24fca-ed02-7127-8370-a445f4db3bd1', 'product', '14b0a878-f945-c49c-c0db-d6d0f382ea0d', 'upsert', NULL, 'processing', 'former:1', '1adc13cf-053c-4d8e-60b6-a20a9e611123', '2026-12-07 09:16:08.756262+00', '2026-12-07 09:15:08.756262+00', 1, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.735845+00', '2026-12-07 09:17:08.735845+00', NULL, '{"": "store.categories 36aa7739b1bd", "id": "1"}', 0, NULL),
	('01a24fca-ed10-7872-8418-dda2b3b4bbbb', 'review', '8cc74f00-b4e1-6fd1-482a-e4a056ce4f87', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, 'infinity', NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.751589+00', '2026-12-07 09:17:08.751589+00', NULL, '{"": "store.products eaafe012d430", "id": "41"}', 0, NULL),
	('01a24fca-ed13-7527-9cdd-ca2a54507eae', 'visit', '824818ac-eec4-4bba-36f4-711364ea5639', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.7543+00', '2026-12-07 09:17:08.7543+00', NULL, '2026-06-01:3', NULL, NULL),
	('01a24fca-ed13-7527-9cdd-ca2a54507eaf', 'visit', '4da1bb18-2668-6725-5cec-7a1f74ad1e39', 'upsert', NULL, 'pending', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.7543+00', '2026-12-07 09:17:08.7543+00', NULL, '2025-12-23:3', NULL, NULL),
	('01a24fca-ed05-7e5e-8bdf-47f8c78fb76a', 'product', '534df1d0-ae30-ec0b-a890-ef24d483d07f', 'upsert', NULL, 'processing', 'former:1', '1adc13cf-053c-4d8e-60b6-a20a9e611123', '2026-12-07 09:16:08.756262+00', '2026-12-07 09:15:08.756262+00', 1, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, '2026-12-07 09:17:08.739562+00', '2026-12-07 09:17:08.739562+00', NULL, '5', NULL, NULL);
INSERT INTO store.categories VALUES
	(2, 'books'),
	(1, 'games');
INSERT INTO store.products VALUES
	(1, 'sku-1', 'tenant-1', 'product 1', 1.50, 'red', 2, NULL),
	(2, 'sku-2', 'tenant-2', 'product 2', 3.00, 'red', 1, NULL),
	(3, 'sku-3', 'tenant-0', 'product 3', 4.50, 'red', 2, NULL),
	(4, 'sku-4', 'tenant-1', 'product 4', 6.00, 'red', 1, NULL),
	(8, 'sku-8', 'tenant-2', 'product 8', 12.00, 'red', 1, NULL),
	(9, 'sku-9', 'tenant-0', 'product 9', 13.50, 'red', 2, NULL),
	(10, 'sku-10', 'tenant-1', 'product 10', 15.00, 'red', 1, NULL),
	(11, 'sku-11', 'tenant-2', 'product 11', 16.50, 'red', 2, NULL),
	(12, 'sku-12', 'tenant-0', 'product 12', 18.00, 'red', 1, NULL),
	(13, 'sku-13', 'tenant-1', 'product 13', 19.50, 'red', 2, NULL),
	(14, 'sku-14', 'tenant-2', 'product 14', 21.00, 'red', 1, NULL),
	(15, 'sku-15', 'tenant-0', 'product 15', 22.50, 'red', 2, NULL),
	(16, 'sku-16', 'tenant-1', 'product 16', 24.00, 'red', 1, NULL),
	(17, 'sku-17', 'tenant-2', 'product 17', 25.50, 'red', 2, NULL),
	(18, 'sku-18', 'tenant-0', 'product 18', 27.00, 'red', 1, NULL),
	(19, 'sku-19', 'tenant-1', 'product 19', 28.50, 'red', 2, NULL),
	(20, 'sku-20', 'tenant-2', 'product 20', 30.00, 'red', 1, NULL),
	(21, 'sku-21', 'tenant-0', 'product 21', 31.50, 'red', 2, NULL),
	(22, 'sku-22', 'tenant-1', 'product 22', 33.00, 'red', 1, NULL),
	(23, 'sku-23', 'tenant-2', 'product 23', 34.50, 'red', 2, NULL),
	(24, 'sku-24', 'tenant-0', 'product 24', 36.00, 'red', 1, NULL),
	(25, 'sku-25', 'tenant-1', 'product 25', 37.50, 'red', 2, NULL),
	(26, 'sku-26', 'tenant-2', 'product 26', 39.00, 'red', 1, NULL),
	(27, 'sku-27', 'tenant-0', 'product 27', 40.50, 'red', 2, NULL),
	(28, 'sku-28', 'tenant-1', 'product 28', 42.00, 'red', 1, NULL),
	(29, 'sku-29', 'tenant-2', 'product 29', 43.50, 'red', 2, NULL),
	(30, 'sku-30', 'tenant-0', 'product 30', 45.00, 'red', 1, NULL),
	(31, 'sku-31', 'tenant-1', 'product 31', 46.50, 'red', 2, NULL),
	(32, 'sku-32', 'tenant-2', 'product 32', 48.00, 'red', 1, NULL),
	(33, 'sku-33', 'tenant-0', 'product 33', 49.50, 'red', 2, NULL),
	(34, 'sku-34', 'tenant-1', 'product 34', 51.00, 'red', 1, NULL),
	(35, 'sku-35', 'tenant-2', 'product 35', 52.50, 'red', 2, NULL),
	(36, 'sku-36', 'tenant-0', 'product 36', 54.00, 'red', 1, NULL),
	(37, 'sku-37', 'tenant-1', 'product 37', 55.50, 'red', 2, NULL),
	(38, 'sku-38', 'tenant-2', 'product 38', 57.00, 'red', 1, NULL),
	(5, 'sku-5', 'tenant-9', 'moved', 7.50, 'red', 2, NULL),
	(6, 'sku-new', 'tenant-0', 'product 6', 9.00, 'red', 1, NULL),
	(41, 'sku-41', 'tenant-1', 'new', NULL, NULL, NULL, NULL);
INSERT INTO store.reviews VALUES
	(1, 2, 5, 'review 1'),
	(2, 3, 5, 'review 2'),
	(3, 4, 5, 'review 3'),
	(4, 5, 5, 'review 4'),
	(5, 6, 5, 'review 5'),
	(7, 8, 5, 'review 7'),
	(8, 9, 5, 'review 8'),
	(9, 10, 5, 'review 9'),
	(10, 11, 5, 'review 10'),
	(11, 12, 5, 'review 11'),
	(12, 13, 5, 'review 12'),
	(13, 14, 5, 'review 13'),
	(14, 15, 5, 'review 14'),
	(15, 16, 5, 'review 15'),
	(16, 17, 5, 'review 16'),
	(17, 18, 5, 'review 17'),
	(18, 19, 5, 'review 18'),
	(19, 20, 5, 'review 19'),
	(20, 21, 5, 'review 20'),
	(21, 22, 5, 'review 21'),
	(22, 23, 5, 'review 22'),
	(23, 24, 5, 'review 23'),
	(24, 25, 5, 'review 24'),
	(25, 26, 5, 'review 25'),
	(26, 27, 5, 'review 26'),
	(27, 28, 5, 'review 27'),
	(28, 29, 5, 'review 28'),
	(29, 30, 5, 'review 29'),
	(30, 31, 5, 'review 30'),
	(31, 32, 5, 'review 31'),
	(32, 33, 5, 'review 32'),
	(33, 34, 5, 'review 33'),
	(34, 35, 5, 'review 34'),
	(35, 36, 5, 'review 35'),
	(36, 37, 5, 'review 36'),
	(37, 38, 5, 'review 37'),
	(40, 1, 5, 'review 40'),
	(41, 2, 5, 'review 41'),
	(42, 3, 5, 'review 42'),
	(43, 4, 5, 'review 43'),
	(44, 5, 5, 'review 44'),
	(45, 6, 5, 'review 45'),
	(47, 8, 5, 'review 47'),
	(48, 9, 5, 'review 48'),
	(49, 10, 5, 'review 49'),
	(50, 11, 5, 'review 50'),
	(51, 12, 5, 'review 51'),
	(52, 13, 5, 'review 52'),
	(53, 14, 5, 'review 53'),
	(54, 15, 5, 'review 54'),
	(55, 16, 5, 'review 55'),
	(56, 17, 5, 'review 56'),
	(57, 18, 5, 'review 57'),
	(58, 19, 5, 'review 58'),
	(59, 20, 5, 'review 59'),
	(60, 21, 5, 'review 60'),
	(61, 22, 5, 'review 61'),
	(62, 23, 5, 'review 62'),
	(63, 24, 5, 'review 63'),
	(64, 25, 5, 'review 64'),
	(65, 26, 5, 'review 65'),
	(66, 27, 5, 'review 66'),
	(67, 28, 5, 'review 67'),
	(68, 29, 5, 'review 68'),
	(69, 30, 5, 'review 69'),
	(70, 31, 5, 'review 70'),
	(71, 32, 5, 'review 71'),
	(72, 33, 5, 'review 72'),
	(73, 34, 5, 'review 73'),
	(74, 35, 5, 'review 74'),
	(75, 36, 5, 'review 75'),
	(76, 37, 5, 'review 76'),
	(77, 38, 5, 'review 77'),
	(80, 1, 5, 'review 80');
INSERT INTO store.visits_2025 VALUES
	('2025-12-21', 1, 'visitor 1'),
	('2025-12-22', 2, 'visitor 2'),
	('2025-12-24', 4, 'visitor 4'),
	('2025-12-25', 5, 'visitor 5'),
	('2025-12-26', 6, 'visitor 6'),
	('2025-12-27', 7, 'visitor 7'),
	('2025-12-28', 8, 'visitor 8'),
	('2025-12-29', 9, 'visitor 9'),
	('2025-12-30', 10, 'visitor 10'),
	('2025-12-31', 11, 'visitor 11');
INSERT INTO store.visits_2026 VALUES
	('2026-01-01', 12, 'visitor 12'),
	('2026-01-02', 13, 'visitor 13'),
	('2026-01-03', 14, 'visitor 14'),
	('2026-01-04', 15, 'visitor 15'),
	('2026-01-05', 16, 'visitor 16'),
	('2026-01-06', 17, 'visitor 17'),
	('2026-01-07', 18, 'visitor 18'),
	('2026-01-08', 19, 'visitor 19'),
	('2026-01-09', 20, 'visitor 20'),
	('2026-01-10', 21, 'visitor 21'),
	('2026-01-11', 22, 'visitor 22'),
	('2026-01-12', 23, 'visitor 23'),
	('2026-01-13', 24, 'visitor 24'),
	('2026-01-14', 25, 'visitor 25'),
	('2026-01-15', 26, 'visitor 26'),
	('2026-01-16', 27, 'visitor 27'),
	('2026-01-17', 28, 'visitor 28'),
	('2026-01-18', 29, 'visitor 29'),
	('2026-06-01', 3, 'visitor 3');
SELECT pg_catalog.setval('public.outbox_deletes_id_seq', 9, true);
ALTER TABLE public.search_outbox_events
    ADD CONSTRAINT ck_search_outbox_events_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'done'::character varying, 'failed'::character varying])::text[]))) NOT VALID;
ALTER TABLE ONLY public.outbox_deletes
    ADD CONSTRAINT outbox_deletes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox_environment
    ADD CONSTRAINT outbox_environment_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY public.outbox_operator_audit
    ADD CONSTRAINT outbox_operator_audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox_places
    ADD CONSTRAINT outbox_places_pkey PRIMARY KEY (projection, document_id, index_name, entity_id);
ALTER TABLE ONLY public.outbox_projections
    ADD CONSTRAINT outbox_projections_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.outbox_rebuilds
    ADD CONSTRAINT outbox_rebuilds_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox_version_base
    ADD CONSTRAINT outbox_version_base_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY public.outbox_workers
    ADD CONSTRAINT outbox_workers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outboxctl_alembic_version
    ADD CONSTRAINT outboxctl_alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.search_index
    ADD CONSTRAINT search_index_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.search_outbox_events
    ADD CONSTRAINT search_outbox_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.search_index
    ADD CONSTRAINT uq_search_index_entity UNIQUE (entity_type, entity_id);
ALTER TABLE ONLY store.categories
    ADD CONSTRAINT categories_pkey PRIMARY KEY (id);
ALTER TABLE ONLY store.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (id);
ALTER TABLE ONLY store.products
    ADD CONSTRAINT products_sku_key UNIQUE (sku);
ALTER TABLE ONLY store.reviews
    ADD CONSTRAINT reviews_pkey PRIMARY KEY (id);
ALTER TABLE ONLY store.visits
    ADD CONSTRAINT visits_pkey PRIMARY KEY (day, id);
ALTER TABLE ONLY store.visits_2025
    ADD CONSTRAINT visits_2025_pkey PRIMARY KEY (day, id);
ALTER TABLE ONLY store.visits_2026
    ADD CONSTRAINT visits_2026_pkey PRIMARY KEY (day, id);
CREATE INDEX ix_outbox_deletes_due ON public.outbox_deletes USING btree (projection, due_at);
CREATE INDEX ix_outbox_operator_audit_act ON public.outbox_operator_audit USING btree (act_id) WHERE (act_id IS NOT NULL);
CREATE INDEX ix_outbox_operator_audit_at ON public.outbox_operator_audit USING btree (at DESC);
CREATE INDEX ix_outbox_places_entity ON public.outbox_places USING btree (projection, entity_id);
CREATE INDEX ix_search_outbox_events_failed ON public.search_outbox_events USING btree (created_at) WHERE ((status)::text = 'failed'::text);
CREATE INDEX ix_search_outbox_events_follow ON public.search_outbox_events USING btree (entity_type, follow, num_nulls(follow_cursor), created_at) WHERE (((status)::text = 'pending'::text) AND (next_retry_at = 'infinity'::timestamp with time zone) AND (follow IS NOT NULL));
CREATE INDEX ix_search_outbox_events_next ON public.search_outbox_events USING btree ((
CASE
    WHEN (entity_key IS NULL) THEN ''::text
    ELSE (entity_type)::text
END) COLLATE "C", next_retry_at, created_at) WHERE ((status)::text = 'pending'::text);
CREATE INDEX ix_search_outbox_events_processing ON public.search_outbox_events USING btree (lease_until) WHERE ((status)::text = 'processing'::text);
CREATE INDEX ix_search_outbox_events_reclaimed ON public.search_outbox_events USING btree (created_at) WHERE (((status)::text = 'pending'::text) AND ((error_reason)::text = 'lease_expired'::text));
CREATE UNIQUE INDEX uq_outbox_rebuilds_under_way ON public.outbox_rebuilds USING btree (alias) WHERE (ended_at IS NULL);
CREATE INDEX products_category_id_idx ON store.products USING btree (category_id);
CREATE INDEX reviews_product_id_idx ON store.reviews USING btree (product_id);
ALTER INDEX store.visits_pkey ATTACH PARTITION store.visits_2025_pkey;
ALTER INDEX store.visits_pkey ATTACH PARTITION store.visits_2026_pkey;
CREATE TRIGGER outbox_audit_by_database BEFORE INSERT ON public.outbox_operator_audit FOR EACH ROW EXECUTE FUNCTION public.outbox_audit_by_database();
CREATE TRIGGER outbox_event_begins BEFORE INSERT ON public.search_outbox_events FOR EACH ROW WHEN ((NOT has_table_privilege(('public.search_outbox_events'::regclass)::oid, 'UPDATE'::text))) EXECUTE FUNCTION public.outbox_event_begins();
CREATE CONSTRAINT TRIGGER outbox_projections_resumed AFTER UPDATE ON public.outbox_projections DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.suspended IS NOT NULL)) EXECUTE FUNCTION public.outbox_projections_resumed();
CREATE TRIGGER outbox_version_base_rises BEFORE UPDATE ON public.outbox_version_base FOR EACH ROW EXECUTE FUNCTION public.outbox_version_base_rises();
CREATE TRIGGER outbox_workers_own BEFORE INSERT OR DELETE OR UPDATE ON public.outbox_workers FOR EACH ROW EXECUTE FUNCTION public.outbox_workers_own();
CREATE TRIGGER outbox_categories_b4748adc_delete AFTER DELETE ON store.categories REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_categories_b4748adc();
CREATE TRIGGER outbox_categories_b4748adc_insert AFTER INSERT ON store.categories REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_categories_b4748adc();
CREATE TRIGGER outbox_categories_b4748adc_truncate AFTER TRUNCATE ON store.categories FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_categories_b4748adc();
CREATE TRIGGER outbox_categories_b4748adc_update AFTER UPDATE ON store.categories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_categories_b4748adc();
CREATE TRIGGER outbox_products_4c8b4d09_delete AFTER DELETE ON store.products REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_products_4c8b4d09();
CREATE TRIGGER outbox_products_4c8b4d09_insert AFTER INSERT ON store.products REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_products_4c8b4d09();
CREATE TRIGGER outbox_products_4c8b4d09_truncate AFTER TRUNCATE ON store.products FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_products_4c8b4d09();
CREATE TRIGGER outbox_products_4c8b4d09_update AFTER UPDATE ON store.products REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_products_4c8b4d09();
CREATE TRIGGER outbox_reviews_6e08ebdb_delete AFTER DELETE ON store.reviews REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_reviews_6e08ebdb();
CREATE TRIGGER outbox_reviews_6e08ebdb_insert AFTER INSERT ON store.reviews REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_reviews_6e08ebdb();
CREATE TRIGGER outbox_reviews_6e08ebdb_truncate AFTER TRUNCATE ON store.reviews FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_reviews_6e08ebdb();
CREATE TRIGGER outbox_reviews_6e08ebdb_update AFTER UPDATE ON store.reviews REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_reviews_6e08ebdb();
CREATE TRIGGER outbox_visits_2384c14d_delete AFTER DELETE ON store.visits REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_delete AFTER DELETE ON store.visits_2025 REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_delete AFTER DELETE ON store.visits_2026 REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_insert AFTER INSERT ON store.visits REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_insert AFTER INSERT ON store.visits_2025 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_insert AFTER INSERT ON store.visits_2026 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE CONSTRAINT TRIGGER outbox_visits_2384c14d_row AFTER INSERT OR DELETE OR UPDATE ON store.visits NOT DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION public.outbox_visits_2384c14d_row();
ALTER TABLE store.visits_2025 DISABLE TRIGGER outbox_visits_2384c14d_row;
ALTER TABLE store.visits_2026 DISABLE TRIGGER outbox_visits_2384c14d_row;
CREATE TRIGGER outbox_visits_2384c14d_truncate AFTER TRUNCATE ON store.visits FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_truncate AFTER TRUNCATE ON store.visits_2025 FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_truncate AFTER TRUNCATE ON store.visits_2026 FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_update AFTER UPDATE ON store.visits REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_update AFTER UPDATE ON store.visits_2025 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
CREATE TRIGGER outbox_visits_2384c14d_update AFTER UPDATE ON store.visits_2026 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.outbox_visits_2384c14d();
ALTER TABLE ONLY store.products
    ADD CONSTRAINT products_category_id_fkey FOREIGN KEY (category_id) REFERENCES store.categories(id);
ALTER TABLE ONLY store.reviews
    ADD CONSTRAINT reviews_product_id_fkey FOREIGN KEY (product_id) REFERENCES store.products(id) ON DELETE CASCADE;
REVOKE ALL ON FUNCTION public.outbox_categories_b4748adc() FROM PUBLIC;
REVOKE ALL ON FUNCTION public.outbox_products_4c8b4d09() FROM PUBLIC;
REVOKE ALL ON FUNCTION public.outbox_reviews_6e08ebdb() FROM PUBLIC;
REVOKE ALL ON FUNCTION public.outbox_visits_2384c14d() FROM PUBLIC;
REVOKE ALL ON FUNCTION public.outbox_visits_2384c14d_row() FROM PUBLIC;
