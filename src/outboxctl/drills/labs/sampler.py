"""Looking at a lab's events several times a second, for its charts and for whoever watches."""

from collections.abc import Callable
from threading import Event, Thread

from outboxctl.domain.errors import OutboxctlError
from outboxctl.drills.labs.model import BilingualText, LabSample, LabVerdict
from outboxctl.drills.labs.scene import Scene

EVERY_SECONDS = 0.25
WENT_ON = BilingualText("sampling went on", "采样持续进行")


class Sampler:
    """A thread that takes samples until `close`, and a last one then; while the database is away, none.

    Any other error ends it, and makes the lab inconclusive: its figures would tell half of the story.
    """

    def __init__(self, scene: Scene, take: Callable[[LabSample], None]) -> None:
        self._scene, self._take = scene, take
        self._over, self._broken = Event(), False
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the last one: how it ended."""
        self._over.set()
        self._thread.join()
        self._once()

    def _run(self) -> None:
        while not (self._broken or self._over.wait(EVERY_SECONDS)):
            self._once()

    def _once(self) -> None:
        if self._broken:
            return
        try:
            seen = self._scene.look()
            self._take(LabSample(self._scene.now, seen))
        except OutboxctlError:
            pass  # a lab may be about just that
        except Exception as error:
            self._broken = True
            self._scene.note(WENT_ON, "no error", f"{type(error).__name__}: {error}", LabVerdict.INCONCLUSIVE)
