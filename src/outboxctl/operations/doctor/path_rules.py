"""Rules for search paths: whose functions and operators run in whose session."""

from collections.abc import Iterator

from outboxctl.core.inspect.rights import SearchPathFacts
from outboxctl.operations.doctor.model import ERROR, INFO, WARNING, Case, RuleGroup
from outboxctl.settings import Settings

PATHS = RuleGroup("search path, functions")


@PATHS.rule("schema-open", WARNING)
def open_schema(paths: SearchPathFacts, _: Settings) -> Iterator[Case]:
    """Functions and operators made there can run as any other role that searches the schema.

    That may be an application's role; the sessions of outboxctl do not search it.
    """
    for each in paths.open:
        mend = f"REVOKE CREATE ON SCHEMA {each.schema} FROM {each.roles};"
        what = f"In the schema {each.schema}, which this login searches, {each.roles} may create objects."
        yield what, mend


@PATHS.rule("function-owner", ERROR)
def owner(paths: SearchPathFacts, _: Settings) -> Iterator[Case]:
    """Its owner can replace its body at any time, and it runs as whoever writes to the table."""
    for each in paths.functions:
        if each.foreign:
            what = f"The function {each.name} belongs to {each.owner}, the table to {each.wanted}."
            yield what, f"ALTER FUNCTION {each.name} OWNER TO {each.wanted};  -- after a look at its body"


@PATHS.rule("function-path", WARNING)
def generated(paths: SearchPathFacts, _: Settings) -> Iterator[Case]:
    """A temporary table of the outbox's name takes its events.

    Another search_path makes the write fail, and operators of other roles may run.
    """
    # A generated function as older versions made it.
    for each in paths.functions:
        if each.unpinned:
            alter = f"ALTER FUNCTION {each.name} SET search_path = pg_catalog, {paths.home}, pg_temp;"
            mend = "outboxctl db notify on" if each.notifies else f"{alter}  -- or make it anew: db trigger"
            yield f"The function {each.name} has no search path of its own.", mend


@PATHS.rule("trigger-path", INFO)
def others(paths: SearchPathFacts, _: Settings) -> Iterator[Case]:
    """Where outboxctl writes to the table, it runs with a reduced search path.

    That holds pg_catalog, and those schemas of the login's path in which nobody else may create
    objects.
    """
    path = ", ".join(["pg_catalog", *(paths.searched or [paths.home]), "pg_temp"])
    for name in paths.others:
        mend = f"ALTER FUNCTION {name} SET search_path = {path};  -- the schemas that it needs"
        yield f"The function {name}, which the outbox's tables call, has no search path of its own.", mend
