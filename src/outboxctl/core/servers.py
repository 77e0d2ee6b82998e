"""Several PostgreSQL servers in one URL: all are asked at once, and the newest primary is used.

After a failover the old primary may go on, or resume, and take writes as before. Its timeline is lower than
that of the promoted server: a process that asks both can tell them apart.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from outboxctl.core.conninfo import ServerAddress, addresses
from outboxctl.core.server_roles import LONGEST, ServerAnswer, ServerRole, ask_all, patience
from outboxctl.domain.errors import OutboxctlError, UnreachableError, UntrustedError

LEFT_BEHIND = "a primary was left behind by a failover"
HINT = "check DATABASE_URL, and that one of its servers is a primary"


class ServerMove(NamedTuple):
    """Sessions go to another server from now on."""

    left: ServerRole
    now: ServerRole


class ServerChoice:
    """The server that sessions are opened at: the primary with the highest timeline seen so far.

    Thread-safe. Of several that are equal, or hide their timelines, the one in use stays.
    """

    def __init__(self) -> None:
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._chosen: ServerRole | None = None
        self._doubtful = True  # all servers are asked before the next session
        self._newest: dict[str, ServerRole] = {}  # by system identifier
        self._asked = 0  # how often all servers were asked
        self._answers: Sequence[ServerAnswer] = ()

    def address(self, values: Mapping[str, Any]) -> tuple[ServerAddress, ServerMove | None]:
        """The server to connect to, and the move to it. UnreachableError where none can be used."""
        move = None
        if (chosen := self._known(values)) is None:
            for longest in dict.fromkeys((LONGEST, patience(values))):  # the second time for slow ones
                move = move or self.look(values, longest=longest)
                if chosen := self._known(values):
                    break
            else:
                raise self._error()
        return chosen.address, move

    def doubt(self) -> None:
        """Ask again before the next session: connecting has failed."""
        self._doubtful = True

    def uses(self, address: ServerAddress) -> bool:
        """Whether sessions belong to this server now."""
        chosen = self._chosen
        return bool(chosen and chosen.address == address)

    def look(self, values: Mapping[str, Any], *, longest: float = LONGEST) -> ServerMove | None:
        """Ask all servers, unless another thread does just now; the move, where another one is used now.

        None is waited for longer than `longest` seconds.
        """
        before = self._asked
        with self._asking:
            if self._asked == before:
                self._answers = ask_all(values, longest=longest)
                self._asked += 1
                return self._decide()
        return None

    def _known(self, values: Mapping[str, Any]) -> ServerRole | None:
        chosen = self._chosen
        usable = chosen and not self._doubtful and chosen.address in addresses(values)
        return chosen if usable else None

    def _decide(self) -> ServerMove | None:
        roles = [answer.role for answer in self._answers if answer.role and answer.role.writable]
        for role in roles:
            if role.identifier and not role.left_behind(self._newest.get(role.identifier)):
                self._newest[role.identifier] = role
        usable = [role for role in roles if not self._behind(role)]
        before = self._chosen
        if before and not self._doubtful and not self._behind(before) and self._silent(before):
            return None  # it may be slow, and what answers may be an old primary that hides its timeline
        self._doubtful = not usable and bool(before is None or self._doubtful or self._behind(before))
        if not usable:
            return None
        same = [role for role in usable if before and role.address == before.address]
        self._chosen = now = (same or usable)[0]
        return ServerMove(before, now) if before and not same else None

    def _behind(self, role: ServerRole) -> bool:
        return role.left_behind(self._newest.get(role.identifier or ""))

    def _silent(self, role: ServerRole) -> bool:
        return any(answer.error for answer in self._answers if answer.address == role.address)

    def _error(self) -> OutboxctlError:
        errors = [answer.error for answer in self._answers if answer.error]
        if untrusted := next((error for error in errors if isinstance(error, UntrustedError)), None):
            return untrusted
        texts, public = zip(*(self._why(answer) for answer in self._answers), strict=True)
        return UnreachableError(
            f"no server of DATABASE_URL takes writes: {'; '.join(texts)}",
            hint=HINT,
            public=f"no server takes writes: {'; '.join(dict.fromkeys(public))}",
        )

    def _why(self, answer: ServerAnswer) -> tuple[str, str]:
        """Why a server is not used: for the log, and for the probes."""
        if answer.error:
            return str(answer.error), answer.error.public
        role = answer.role
        newest = self._newest.get((role and role.identifier) or "")
        if role and role.left_behind(newest):
            return f"{role} was left behind by a failover to {newest}", LEFT_BEHIND
        return f"{answer.address}: the server is read-only", "the server is read-only"
