"""Ids of the events that one statement writes: one draw of time and random bits, from which rows are counted.

The first half of an id is the time, as in the column's default, the second one a number
(RFC 9562, section 6.2): its first bits are 100, so it has 16 digits, and room for 2^61 rows. To draw each id
costs as much as the rest of its row, where PostgreSQL is built without OpenSSL.
"""

# An id is the half, and the number plus the row's place, by `to_hex`, as a uuid.
TIME_HALF = """\
overlay(lpad(to_hex((date_part('epoch', clock_timestamp()) * 4096000)::bigint), 15, '0')
                PLACING '7' FROM 13 FOR 0)"""
NUMBER_HALF = "(uuid_hash_extended(gen_random_uuid(), 0) & ((1::bigint << 61) - 1)) + (1::bigint << 63)"
# The same in PL/pgSQL, with a variable for the moment: half the time of the expression.
DRAW = f"""\
    moment := (date_part('epoch', clock_timestamp()) * 4096000)::bigint;
    id_time := lpad(to_hex((moment >> 12 << 16) + 28672 + (moment & 4095)), 16, '0');
    id_number := {NUMBER_HALF};"""
