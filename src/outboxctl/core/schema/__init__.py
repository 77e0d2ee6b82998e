"""Names, migrations, roles, triggers and the environment marker."""
