"""What a worker, an operator and a viewer may do in the sink, as bodies for its security API; pure.

Privileges and the actions that they stand for are read in the servers' sources: Elasticsearch's
`IndexPrivilege.java` and `ClusterPrivilegeResolver.java`, OpenSearch's `static_action_groups.yml`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outboxctl.domain.errors import UsageError
from outboxctl.domain.index_names import BRACES
from outboxctl.sink.engines import OPENSEARCH, Engine

Json = dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """What a role may do: `index` privileges on our names, `projected` on projections', `cluster` ones."""

    role: str
    index: tuple[str, ...]
    cluster: tuple[str, ...]
    projected: tuple[str, ...] = ()


READS = ("read", "view_index_metadata", "monitor", "maintenance")
WRITES = ("index", "delete")
# An event of all documents, as of a TRUNCATE, is expanded from the ids of the index, refreshed before.
LISTS = ("read", "maintenance")
GRANTS = (
    Grant("worker", (*WRITES, "view_index_metadata"), (), LISTS),  # it sees that the index is there
    Grant("operator", ("read", *WRITES, "manage"), ("monitor",)),  # also rebuild, repair, move the alias
    Grant("viewer", READS, ("monitor",)),  # verify, doctor, failed show, check
)
# OpenSearch's permissions for the same; a bulk or multi-get request is asked for at the cluster, too.
ACTIONS = {
    "read": ("read",),
    "index": ("index",),
    "delete": ("delete",),
    "view_index_metadata": (
        *("indices:admin/get", "indices:admin/exists", "indices:admin/aliases/get*"),
        *("indices:admin/aliases/exists*", "indices:admin/mappings/get", "indices:monitor/settings/get"),
        "indices:admin/shards/search_shards",
    ),
    "monitor": ("indices_monitor",),
    "maintenance": ("indices:admin/refresh*",),
    "manage": ("manage",),
}
# `GET /`, from which alone `OUTBOX_SINK=auto` learns that OpenSearch is there, is `cluster:monitor/main`.
COMPOSITE = {
    "worker": ("indices:data/write/bulk", "cluster_composite_ops_ro", "cluster:monitor/main"),
    "operator": ("cluster_composite_ops", "cluster_monitor"),
    "viewer": ("cluster_composite_ops_ro", "cluster_monitor"),
}


@dataclass(frozen=True)
class SecurityRequest:
    """A request that makes one role, or one API key, for whoever may manage security."""

    method: str
    path: str
    body: Json


def orders(
    engine: Engine,
    index: str,
    *,
    projected: Sequence[str] = (),
    prefix: str = "outbox_",
    keys: bool = False,
) -> list[SecurityRequest]:
    """The requests that make the three roles, or with `keys` an API key each; nothing is sent.

    The requests hold for `index` and the indexes of projections, `projected`, and for what `apply` and a
    rebuild call the indexes behind these (`index-000002`).
    UsageError for API keys of OpenSearch, which has none, and for a prefix that cannot be in a path.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{0,80}", prefix):
        hint = "letters and digits, _ . -"
        raise UsageError(f"--prefix: not part of a role's name: {prefix[:80]!r}", hint=hint)
    if keys and not engine.api_keys:
        raise UsageError(
            f"{engine.title} has no API keys", hint="leave --api-keys out: users are given roles"
        )
    own, theirs = names_of(index), [name for each in projected for name in names_of(each)]
    made = []
    for grant in GRANTS:
        permitted = [(own + theirs, [*grant.index])]
        if theirs and grant.projected:
            permitted = [(own, [*grant.index]), (theirs, [*grant.index, *grant.projected])]
        made.append(_order(engine, grant, prefix + grant.role, permitted, keys=keys))
    return made


def names_of(index: str) -> list[str]:
    """The names in a role: `index` itself, and what a rebuild calls its indexes, `index-` and six digits.

    A column in braces, whose value chooses the index, stands for any value.

    A wildcard would cover every index whose name begins so. Both products take a text between slashes as
    a regular expression of the whole name: Elasticsearch as Lucene's (its page "Defining roles", and
    `Automatons.java`), OpenSearch as Java's (`WildcardMatcher.java` of its security plugin). A backslash
    before what is neither letter nor digit makes it literal in both.
    """
    parts = [re.sub(r"([^\w-])", r"\\\1", part) for part in BRACES.split(index)]
    literal = ".+".join(parts)
    return [f"/{literal}/" if len(parts) > 1 else index, f"/{literal}-[0-9]{{6}}/"]


def _order(
    engine: Engine, grant: Grant, name: str, permitted: list[tuple[list[str], list[str]]], *, keys: bool
) -> SecurityRequest:
    path = f"{engine.roles}/{name}"
    if engine is OPENSEARCH:
        indices = [
            {"index_patterns": names, "allowed_actions": [a for each in held for a in ACTIONS[each]]}
            for names, held in permitted
        ]
        body: Json = {"cluster_permissions": list(COMPOSITE[grant.role]), "index_permissions": indices}
        return SecurityRequest("PUT", path, body)
    body = {
        "cluster": list(grant.cluster),
        "indices": [{"names": names, "privileges": held} for names, held in permitted],
    }
    if keys:
        key = {"name": name, "role_descriptors": {name: body}}
        return SecurityRequest("POST", "_security/api_key", key)
    return SecurityRequest("PUT", path, body)
