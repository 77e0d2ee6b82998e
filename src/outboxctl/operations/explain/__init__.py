"""`explain`: what a word of outboxctl means, from the same tables as the reference pages."""

from outboxctl.operations.explain.model import Word, WordKind
from outboxctl.operations.explain.words import find, names, words

__all__ = ["Word", "WordKind", "find", "names", "words"]
