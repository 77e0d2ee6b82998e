"""Time and chance, both passed in."""

from datetime import datetime, timedelta
from random import Random

import psycopg

from moments import NOW


class Steps(Random):
    """No jitter: delays are whole seconds, and the oracle can work them out."""

    def random(self) -> float:
        """The least."""
        return 0.0


class Clocks:
    """The workers' own, which only goes forward, and the database's, which a person may set back."""

    def __init__(self, sql: psycopg.Connection) -> None:
        self._sql, self.steady = sql, 0.0
        self.now: datetime = NOW
        self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        """Let it be so many seconds later, or by the database's clock earlier."""
        self.steady += max(seconds, 0)
        self.now += timedelta(seconds=seconds)
        self._sql.execute("UPDATE clock.moment SET at = %s", [self.now])
