"""The list of mutants, and what makes one."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]


class StaleError(Exception):
    """The code has changed: a mutant's old text is gone, or no longer the only one."""


@dataclass(frozen=True)
class Mutant:
    """A change to `file` (under src/outboxctl), what a user would lose by it, and the test that must fail."""

    name: str
    lost: str
    file: str
    old: str
    new: str
    test: str

    def source(self, checkout: Path) -> Path:
        """The file that is changed."""
        return checkout / "src" / "outboxctl" / self.file

    def broken(self, checkout: Path) -> str:
        """The file's text after the change. Raises StaleError."""
        text = self.source(checkout).read_text()
        if text.count(self.old) != 1:
            raise StaleError(f"{self.name}: {self.file} holds its old text {text.count(self.old)} times")
        return text.replace(self.old, self.new)


def load() -> list[Mutant]:
    """All mutants, in the order of the list."""
    listed = tomllib.loads((HERE / "mutants.toml").read_text())
    return [Mutant(**mutant) for mutant in listed["mutant"]]
