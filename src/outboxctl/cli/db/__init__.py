"""`db`: the schema, roles, triggers, NOTIFY and the environment marker."""
