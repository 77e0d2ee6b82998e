"""The store: everything that speaks to PostgreSQL, by psycopg. Nothing else writes `status`.

Only the migrations load SQLAlchemy, for alembic. Imports settings, net and domain.
"""
