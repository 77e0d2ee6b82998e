"""Names in the environment that look like ours and are not: a misspelt setting would count for nothing."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

PREFIX = "OUTBOX_"
CHAOS = "OUTBOX_CHAOS_"  # flags of `chaos es`, not settings: typer reads them
SIMILAR = 0.85  # of a name that is not ours by its prefix
# What Kubernetes puts there for a service of the pod's namespace (`outbox`, `outbox-metrics`):
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
LINK = re.compile(r"OUTBOX_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
LINKED_PORT = re.compile(r"(tcp|udp|sctp)://\S+")


def unknown(level: Mapping[str, str | None], known: Collection[str]) -> list[str]:
    """Names with our prefix that are no settings, in the order of the alphabet."""
    ours = (name for name in level if name.startswith(PREFIX) and name not in known)
    return sorted(name for name in ours if not name.startswith(CHAOS) and not _linked(name, level[name]))


def doubtful(level: Mapping[str, str | None], known: Collection[str]) -> dict[str, str]:
    """Names that others may use, too (`ELASTIC_…`), each with the setting that it is so similar to."""
    others = (name for name in sorted(level) if name.startswith("ELASTIC_") and name not in known)
    near = {name: nearest(name, known, SIMILAR) for name in others}
    return {name: setting for name, setting in near.items() if setting}


def nearest(name: str, known: Collection[str], similar: float = 0.6) -> str | None:
    """The setting that was probably meant."""
    return next(iter(get_close_matches(name, known, 1, similar)), None)


def link(value: str | None) -> bool:
    """Whether this is what Kubernetes gives as the port of a service."""
    return bool(LINKED_PORT.fullmatch(value or ""))


def _linked(name: str, value: str | None) -> bool:
    return bool(LINK.fullmatch(name)) or (name.endswith("_PORT") and link(value))
