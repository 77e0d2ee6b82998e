"""Rules for search paths: whose functions and operators run in whose session."""

from collections.abc import Iterator

from outboxctl.core.inspect.rights import SearchPathFacts
from outboxctl.operations.doctor.model import FindingSeverity, RuleGroup, Said, rule
from outboxctl.settings import Settings


@rule(
    "schema-open",
    FindingSeverity.WARNING,
    "Functions and operators made there can run as any other role that searches the schema,"
    " an application's too; the sessions of outboxctl do not search it.",
)
def open_schema(paths: SearchPathFacts, _: Settings) -> Iterator[Said]:
    """A schema of the login's search path in which others may create objects."""
    for each in paths.open:
        mend = f"REVOKE CREATE ON SCHEMA {each.schema} FROM {each.roles};"
        yield (
            f"In the schema {each.schema}, which this login searches, {each.roles} may create objects.",
            mend,
        )


@rule(
    "function-owner",
    FindingSeverity.ERROR,
    "Its owner can replace its body at any time, and it runs as whoever writes to the table.",
)
def owner(paths: SearchPathFacts, _: Settings) -> Iterator[Said]:
    """A generated function that belongs to a role that need not be trusted."""
    for each in paths.functions:
        if each.foreign:
            what = f"The function {each.name} belongs to {each.owner}, the table to {each.wanted}."
            yield what, f"ALTER FUNCTION {each.name} OWNER TO {each.wanted};  -- after a look at its body"


@rule(
    "function-path",
    FindingSeverity.WARNING,
    "A temporary table of the outbox's name takes its events, another search_path makes the write fail,"
    " and operators of other roles may run.",
)
def generated(paths: SearchPathFacts, _: Settings) -> Iterator[Said]:
    """A generated function as older versions made it."""
    for each in paths.functions:
        if each.unpinned:
            alter = f"ALTER FUNCTION {each.name} SET search_path = pg_catalog, {paths.home}, pg_temp;"
            mend = "outboxctl db notify on" if each.notifies else f"{alter}  -- or make it anew: db trigger"
            yield f"The function {each.name} has no search path of its own.", mend


@rule(
    "trigger-path",
    FindingSeverity.INFO,
    "Where outboxctl writes to the table it runs with pg_catalog, and with those schemas of the login's"
    " search path in which nobody else may create objects.",
)
def others(paths: SearchPathFacts, _: Settings) -> Iterator[Said]:
    """A function of the application's own that our statements fire."""
    path = ", ".join(["pg_catalog", *(paths.searched or [paths.home]), "pg_temp"])
    for name in paths.others:
        mend = f"ALTER FUNCTION {name} SET search_path = {path};  -- the schemas that it needs"
        yield f"The function {name}, which the outbox's tables call, has no search path of its own.", mend


PATHS = RuleGroup("search path, functions", (open_schema, owner, generated, others))
