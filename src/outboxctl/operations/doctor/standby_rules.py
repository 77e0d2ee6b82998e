"""Rules for several PostgreSQL servers: those of DATABASE_URL, and standbys that a COMMIT waits for."""

from collections.abc import Iterator, Sequence

from outboxctl.core.inspect.standbys import SynchronousStandbys
from outboxctl.core.server_roles import ServerAnswer
from outboxctl.operations.doctor.model import ERROR, WARNING, Case, RuleGroup
from outboxctl.settings import Settings

RELOAD = "SELECT pg_reload_conf();"
SERVERS = RuleGroup("servers of DATABASE_URL")
STANDBYS = RuleGroup("synchronous standbys")


@SERVERS.rule("database-several-primaries", ERROR)
def several_primaries(answers: Sequence[ServerAnswer], _: Settings) -> Iterator[Case]:
    """Both take writes. Workers use the higher timeline; what applications write at the other one is lost."""
    roles = [answer.role for answer in answers if answer.role and answer.role.timeline]
    for role in roles:
        newer = [o for o in roles if o.identifier == role.identifier and role.left_behind(o)]
        if newer:
            newest = max(newer, key=lambda each: each.timeline or 0)
            mend = f"pg_ctl stop --mode immediate  # at {role.address}; then pg_rewind, to be a standby"
            yield f"{role} was left behind by a failover to {newest}, and takes writes.", mend


@SERVERS.rule("database-server-away", WARNING)
def away(answers: Sequence[ServerAnswer], _: Settings) -> Iterator[Case]:
    """The next failover may find nobody; and nobody sees whether it is a primary that was left behind."""
    for answer in answers:
        if answer.error:
            yield (
                str(answer.error),
                f"psql -h {answer.address.host or answer.address.hostaddr}  # does it run?",
            )


@STANDBYS.rule("synchronous-standby-away", ERROR)
def synchronous(standbys: SynchronousStandbys, _: Settings) -> Iterator[Case]:
    """Applications, and commands that change something, wait at COMMIT. Workers deliver what is committed."""
    if standbys.missing:
        mend = f"ALTER SYSTEM SET synchronous_standby_names = ''; {RELOAD}  -- or start the standby"
        what = (
            f"synchronous_standby_names is {standbys.names}: of {standbys.needed} there are {standbys.there}."
        )
        yield what, mend
