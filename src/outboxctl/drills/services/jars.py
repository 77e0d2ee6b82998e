"""How far Maven is with the jars of an engine, by the lines that it prints."""

import re
from collections.abc import Iterable

from outboxctl.drills.services.model import Say

FETCHED = re.compile(r"Downloaded from \S+: \S*/([^/\s]+\.jar)\b")
WIDTH, STEPS = 20, 10  # characters of the bar, and how often it is said


class JarProgress:
    """Says at each tenth how many of these jars were downloaded; nothing of what Maven has already."""

    def __init__(self, names: Iterable[str], say: Say) -> None:
        self._missing = set(names)
        self._total = len(self._missing)
        self._say = say

    def see(self, line: str) -> None:
        """Take a line that Maven printed."""
        found = FETCHED.search(line)
        if found and found[1] in self._missing:
            self._missing.remove(found[1])
            self._show(self._total - len(self._missing))

    def _show(self, done: int) -> None:
        if done * STEPS // self._total > (done - 1) * STEPS // self._total:
            filled = "#" * (WIDTH * done // self._total)
            self._say(f"{filled:-<{WIDTH}} {done} of {self._total} jars")
