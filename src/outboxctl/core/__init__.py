"""The store: everything that speaks to PostgreSQL. Nothing else imports SQLAlchemy or writes `status`."""
