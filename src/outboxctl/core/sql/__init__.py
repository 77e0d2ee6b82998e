"""Statements and connections: SQLAlchemy Core, on sessions of the driver, psycopg, that `opening` opens."""

from typing import Any

import sqlalchemy
from sqlalchemy import Connection, TextClause, text

Row = sqlalchemy.Row[Any]
__all__ = ["Connection", "Row", "TextClause", "text"]
