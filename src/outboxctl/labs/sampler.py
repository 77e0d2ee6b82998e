"""Looking at a lab's events several times a second, for its charts and for whoever watches."""

from collections.abc import Callable
from threading import Event, Thread

from outboxctl.errors import OutboxctlError
from outboxctl.labs.model import Sample
from outboxctl.labs.scene import Scene

EVERY_SECONDS = 0.25


class Sampler:
    """A thread that takes samples until `close`; while the database is away there are none."""

    def __init__(self, scene: Scene, take: Callable[[Sample], None]) -> None:
        self._scene, self._take = scene, take
        self._over = Event()
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            try:
                seen = self._scene.look()
            except OutboxctlError:
                continue  # a lab may be about just that
            self._take(Sample(self._scene.now, seen))
