"""Looking at a lab's events several times a second, for its charts and for whoever watches."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from outboxctl.errors import OutboxctlError
from outboxctl.labs.model import Sample
from outboxctl.labs.scene import Scene

EVERY_SECONDS = 0.25


class Sampler:
    """A thread that takes samples until `close`, and a last one then; while the database is away, none."""

    def __init__(self, scene: Scene, take: Callable[[Sample], None]) -> None:
        self._scene, self._take = scene, take
        self._over = Event()
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the last one: how it ended."""
        self._over.set()
        self._thread.join()
        self._once()

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._once()

    def _once(self) -> None:
        with suppress(OutboxctlError):  # a lab may be about just that
            seen = self._scene.look()
            self._take(Sample(self._scene.now, seen))
