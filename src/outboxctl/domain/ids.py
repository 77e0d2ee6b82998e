"""Ids in time order: new events are adjacent in their index, and in the pages that a claim reads."""

import sys
from os import urandom
from time import time_ns
from uuid import UUID

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:

    def uuid7() -> UUID:
        """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, and random bits.

        Twelve more bits are the fraction of the millisecond (section 6.2, method 3), as PostgreSQL 18's own
        `uuidv7()` has them, so ids of one process are in order even then. Nothing depends on the order: a
        clock that is set back costs locality.
        """
        return laid_out(time_ns(), int.from_bytes(urandom(8)))


def laid_out(nanoseconds: int, chance: int) -> UUID:
    """The version 7 of a time since 1970 and (the lowest 62 bits of) a random number."""
    milliseconds, fraction = divmod(nanoseconds * 4096 // 1_000_000, 4096)
    high = (milliseconds & (1 << 48) - 1) << 16 | 7 << 12 | fraction
    return UUID(int=high << 64 | 0b10 << 62 | chance & (1 << 62) - 1)
