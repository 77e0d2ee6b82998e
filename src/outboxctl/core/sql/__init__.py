"""Statements, their results and the sessions that run them: what `core` uses of the driver, psycopg."""

from outboxctl.core.sql.connection import Connection, StatementResult
from outboxctl.core.sql.result import Result, Row
from outboxctl.core.sql.statement import TextClause, text

__all__ = ["Connection", "Result", "Row", "StatementResult", "TextClause", "text"]
