"""A reader of documents that meets a TRUNCATE of several tables in another order ends itself."""

from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections.documents import prepare
from outboxctl.domain.errors import LockedError
from processes import eventually

WAITS = "SELECT FROM pg_locks WHERE NOT granted AND pid = %s"


def test_an_application_that_truncates_is_not_ended_by_a_reader(
    db: Database, sql: psycopg.Connection, url: str
) -> None:
    sql.execute("CREATE TABLE public.orders (); CREATE TABLE public.lines ()")
    with psycopg.connect(url) as application, ThreadPoolExecutor(1) as pool:

        def read() -> None:
            with db.begin() as reader:
                prepare(reader, seconds=5.0)
                reader.exec_driver_sql("SELECT FROM public.lines")
                application.execute("TRUNCATE public.orders")
                waits.append(pool.submit(application.execute, "TRUNCATE public.lines"))
                eventually(lambda: sql.execute(WAITS, [application.info.backend_pid]).fetchone() is not None)
                reader.exec_driver_sql("SELECT FROM public.orders")

        waits: list[Future[psycopg.Cursor]] = []
        with pytest.raises(LockedError):
            read()
        assert waits[0].result().statusmessage == "TRUNCATE TABLE"
