"""A view that is lost half way, as where the node of a copy dies, costs a second reading and no verdict."""

from itertools import count

import psycopg
import pytest

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import HEALTHY
from outboxctl.drills.proxy.wire import ProxyReply
from processes import Cli
from rebuilding import ROWS
from servers import Servers

pytestmark = pytest.mark.real_engine
LOST = (
    b'{"error":{"type":"search_phase_execution_exception","reason":"all shards failed","caused_by":'
    b'{"type":"search_context_missing_exception","reason":"No search context found"}},"status":404}'
)


class LosesViews(Script):
    """The first pages of views are refused, so many of them."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._lost, self._pages = lost, count()

    def other(self, request: str) -> ProxyFault:
        if not request.startswith("POST /_search") or "point_in_time" in request:
            return super().other(request)
        return ProxyFault(reply=ProxyReply(404, LOST)) if next(self._pages) < self._lost else HEALTHY


@pytest.mark.slow(reason="waits for views of the index that are gone")
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(("lost", "code"), [(1, 0), (9, 3)])
def test_a_lost_view_is_read_again_a_few_times(
    cli: Cli, sql: psycopg.Connection, servers: Servers, lost: int, code: int
) -> None:
    sql.execute(ROWS, [20])
    cli.ok("rebuild", "--yes")
    with fake_sink(LosesViews(lost), upstream=servers.sink) as sink:
        done = cli("verify", env={"ELASTIC_URL": sink.url})
    assert done.returncode == code, done.stdout + done.stderr
