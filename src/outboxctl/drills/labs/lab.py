"""What a lab is: its words, its settings, and what it does in each phase."""

from collections.abc import Mapping
from typing import ClassVar

from outboxctl.drills.labs.model import BilingualText, Need
from outboxctl.drills.labs.scene import Scene


class Lab:
    """A drill. A subclass fills in the words, and overrides the phases in which it does something.

    `number` is that of the lab document, None for the other drills. `settings` are environment names
    with their values, in place of the defaults. `needs` it cannot do without; `wants` it uses where the
    place has it. `seconds` is how long it lasts, about, and `engine_start` what the start of a real
    search engine adds to that where the lab restarts one. `by_hand` are the commands by which a person
    does the same. `judged` is what the verdict is about, in the last line of the document's conclusion.
    """

    name: ClassVar[str]
    number: ClassVar[int | None] = None
    title: ClassVar[BilingualText]
    question: ClassVar[BilingualText]
    hypothesis: ClassVar[BilingualText]
    settings: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[frozenset[Need]] = frozenset()
    wants: ClassVar[frozenset[Need]] = frozenset()
    events: ClassVar[int] = 200
    seconds: ClassVar[float] = 10.0
    engine_start: ClassVar[float] = 0.0
    by_hand: ClassVar[tuple[str, ...]] = ()
    judged: ClassVar[BilingualText | None] = None

    @classmethod
    def takes(cls) -> str:
        """How long it lasts, for people: `9 to 29 s` where that depends on the search engine."""
        longest = f" to {cls.seconds + cls.engine_start:g}" if cls.engine_start else ""
        return f"{cls.seconds:g}{longest} s"

    def prepare(self, scene: Scene) -> None:
        """Before anything: a load of `events`, and one worker."""
        scene.load(self.events)
        scene.worker("w1").start()

    def steady(self, scene: Scene) -> None:
        """The steady state without which nothing can be learned: all delivered, the worker ready."""
        scene.steady(self.events)

    def inject(self, scene: Scene) -> None:
        """Break it: `scene.fault(...)`, then `scene.took_hold(...)`."""

    def observe(self, scene: Scene) -> None:
        """Watch while it is broken."""

    def undo(self, scene: Scene) -> None:
        """Mend what was broken; called whatever happened. Each must be undone though another fails."""
        scene.undo()

    def recover(self, scene: Scene) -> None:
        """Wait until all is well again."""
        scene.recovered()

    def check(self, scene: Scene) -> None:
        """Hold what was seen against the hypothesis: `scene.expect(...)`, `scene.conclude(...)`."""
