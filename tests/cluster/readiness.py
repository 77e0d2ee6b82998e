"""What a worker's `/readyz` said over a time, and how often it changed its mind."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from processes import Worker

READY = 200
PAUSE = 0.1  # seconds between two looks


@dataclass
class Watch:
    """Changes, each with the seconds since the begin, whether it was ready, and what failed."""

    worker: Worker
    changes: list[tuple[float, bool, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def flips(self) -> int:
        """How often readiness has changed."""
        return len(self.changes) - 1

    @property
    def ready(self) -> bool:
        """Whether it is."""
        return self.changes[-1][1]

    @property
    def said(self) -> str:
        """What failed at the last change, of the sink."""
        return self.changes[-1][2]

    def look(self) -> None:
        """Until it is stopped."""
        begin = monotonic()
        while True:
            status, body = self.worker.get("/readyz")
            ready = status == READY
            if not self.changes or self.changes[-1][1] != ready:
                failing = {} if ready else json.loads(body)["failing"]
                self.changes.append((round(monotonic() - begin, 1), ready, failing.get("sink", str(failing))))
            if self._stop.wait(PAUSE):
                return

    def stop(self) -> None:
        """Let it end."""
        self._stop.set()


@contextmanager
def watching(worker: Worker) -> Iterator[Watch]:
    """Look until the block ends."""
    watch = Watch(worker)
    thread = threading.Thread(target=watch.look, name="readyz")
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join(30)


def lines(worker: Worker, text: str = '"the sink ') -> list[str]:
    """The lines of its log with this text."""
    return [line for line in worker.log.read_text().splitlines() if text in line]
