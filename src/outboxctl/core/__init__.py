"""The store: all that speaks to PostgreSQL, by SQLAlchemy Core on psycopg. Nothing else writes `status`.

Imports settings, net and domain.
"""
