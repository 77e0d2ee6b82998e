"""The projections of a declaration for several schemas in one line, as `projection list` has them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from outboxctl.core.stats.by_projection import ProjectionStatus
from outboxctl.core.stats.following import Following
from outboxctl.domain.printable import counted

COUNTS = ("pending", "processing", "failed", "stuck")


def families(
    several: Iterable[ProjectionStatus],
) -> Iterator[tuple[ProjectionStatus, list[ProjectionStatus]]]:
    """Each as it is, or the sum of a family, with those of its members that are not as the others are."""
    groups: dict[str, list[ProjectionStatus]] = {}
    for each in several:
        groups.setdefault(each.family or each.name, []).append(each)
    for name, members in groups.items():
        if members[0].family:
            yield _sum(name, members), _apart(members)
        else:
            yield members[0], []


def _sum(name: str, members: Sequence[ProjectionStatus]) -> ProjectionStatus:
    tables: dict[str, list[Following]] = {}
    for table in (table for each in members for table in each.following):
        tables.setdefault(table.table.rpartition(".")[2], []).append(table)
    return ProjectionStatus(
        f"{name} ({counted(len(members), 'schema')})",
        **{what: sum(map(attrgetter(what), members)) for what in COUNTS},
        oldest_age_seconds=max(each.oldest_age_seconds for each in members),
        following=[_followed(table, each) for table, each in tables.items()],
    )


def _followed(table: str, several: Sequence[Following]) -> Following:
    """Of the tables of this name in all schemas."""
    drains = [each.drain_seconds for each in several]
    return replace(
        several[0],
        table=table,
        events=sum(each.events for each in several),
        keys_done=sum(each.keys_done for each in several),
        oldest_age_seconds=max(each.oldest_age_seconds for each in several),
        events_per_second=sum(each.events_per_second or 0 for each in several) or None,
        keys_per_second=sum(each.keys_per_second or 0 for each in several) or None,
        drain_seconds=None if None in drains else max(each for each in drains if each is not None),
    )


def _apart(members: Sequence[ProjectionStatus]) -> list[ProjectionStatus]:
    """Those with failed or stuck events, and where most members have no lag those that have."""
    lagging = [each for each in members if each.lag]
    few = lagging if len(lagging) * 2 <= len(members) else []
    return [each for each in members if each.failed or each.stuck or each in few]
