"""A server that hides what tells it from others, as some managed ones do."""

# Built in functions cannot be replaced: calls by name find these.
SQL = b"""
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.pg_control_system() RENAME TO pg_control_system_hidden;
ALTER FUNCTION pg_catalog.pg_current_wal_lsn() RENAME TO pg_current_wal_lsn_hidden;
CREATE FUNCTION pg_catalog.pg_control_system(OUT system_identifier bigint) LANGUAGE plpgsql
AS $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied for function'; END $$;
CREATE FUNCTION pg_catalog.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql
AS $$ BEGIN RAISE object_not_in_prerequisite_state USING MESSAGE = 'wal_level must be set to logical'; END $$;
RESET allow_system_table_mods;
"""
# A function of SQL is inlined: calls of the built in one would be its own.
A_STANDBY = b"""
SET allow_system_table_mods = on;
CREATE OR REPLACE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS boolean LANGUAGE sql VOLATILE
AS 'SELECT true';
"""
