"""Where a secret may go: to an endpoint that `.env` chooses only if `.env` holds the secret, too.

Whoever made the folder wrote its `.env`; the environment and the flags are the caller's.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from dotenv.main import DotEnv
from dotenv.variables import Variable, parse_variables

from outboxctl.domain.errors import UsageError
from outboxctl.net.urls import credentials
from outboxctl.settings.model import Settings, env_names
from outboxctl.settings.origin import SettingsSource, settings_sources

TRUST = "trust_dotenv"
ADDRESS = "elastic_url"
ANCHORS = ("elastic_ca_certs", "elastic_fingerprint")  # whoever chooses these can impersonate the server
PATHS = ("elastic_ca_certs", "elastic_client_cert", "elastic_client_key")  # stay on this machine
# Secrets of the caller's that libpq adds to a connection by itself (PostgreSQL's manual, chapter on libpq:
# "Parameter Key Words", "Environment Variables", "The Password File").
PASSWORDS = ("PGPASSWORD", "PGPASSFILE")  # used where the URL has no password
LIBPQ_VARIABLES = ("PGSERVICE", "PGSSLKEY", "PGSSLCERT")
FILE_PARAMETERS = ("service", "servicefile", "passfile")  # parameters that name a file of the caller's
Sources = Mapping[str, SettingsSource]  # by field
Misplaced = tuple[str, SettingsSource]  # a secret in words, and what chooses where it would go


def check(settings: Settings, flags: Mapping[str, Any]) -> None:
    """Raise UsageError for the first secret of the caller's that would go to an endpoint of `.env`'s."""
    sources = settings_sources(flags)
    if _trusted(settings, sources):
        return
    misplaced = (_to_sink(settings, sources), _to_database(settings, sources), _interpolated(sources))
    for secret, endpoint in chain(*misplaced):
        raise UsageError(
            f"{secret} would be sent to an endpoint that {endpoint} chooses",
            hint=f"set {endpoint.name} in the environment or by a flag, or the secret in .env; "
            f"if this folder's .env is to be trusted: export {env_names(TRUST)[0]}=1",
        )


def _trusted(settings: Settings, sources: Sources) -> bool:
    """Whether the caller trusts `.env`. UsageError where `.env` itself sets that."""
    if _in_dotenv(sources.get(TRUST)):
        hint = "remove it there; export it if this folder's .env is to be trusted"
        raise UsageError(f"{sources[TRUST]} is not allowed: .env cannot declare itself trusted", hint=hint)
    return settings.trust_dotenv


def _to_sink(settings: Settings, sources: Sources) -> Iterator[Misplaced]:
    secure = any(url.startswith("https:") for url in settings.sink_urls)
    choosing = [field for field in (ADDRESS, *(ANCHORS if secure else ())) if _in_dotenv(sources.get(field))]
    for secret in _sent(settings, secure=secure):
        if secret in sources and sources[secret].callers:
            yield from ((str(sources[secret]), sources[field]) for field in choosing if field != secret)


def _sent(settings: Settings, *, secure: bool) -> Iterator[str]:
    """The secrets that the sink receives, by field."""
    if any(map(credentials, settings.sink_urls)):
        yield ADDRESS
    if settings.elastic_api_key:
        yield "elastic_api_key"
    elif settings.elastic_username:
        yield "elastic_password"
    if secure:
        yield from ("elastic_client_cert", "elastic_client_key")


def _to_database(settings: Settings, sources: Sources) -> Iterator[Misplaced]:
    endpoint = sources.get("database_url")
    if endpoint and endpoint.dotenv:
        yield from ((secret, endpoint) for secret in _libpq_secrets(settings.require_database_url()))


def _libpq_secrets(url: str) -> Iterator[str]:
    """In words, each secret of the caller's that a connection to this URL may send to its server."""
    parameters = _libpq_parameters(url)
    password = bool(parameters.get("password"))
    for name in (*(() if password else PASSWORDS), *LIBPQ_VARIABLES):
        if os.environ.get(name):
            yield f"{name} in the environment"
    for name in FILE_PARAMETERS:
        if parameters.get(name):
            yield f"what `{name}` in the URL stands for"
    if not password and _in_password_file(parameters):
        yield "a password in ~/.pgpass, not bound to the host it goes to,"


def _libpq_parameters(url: str) -> Mapping[str, Any]:
    """What libpq reads in the URL; nothing, so that each secret counts, where it can read nothing."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - takes a moment, and only `.env` needs it
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same

    with suppress(ProgrammingError):
        return conninfo_to_dict(url)
    return {}


def _in_password_file(parameters: Mapping[str, Any]) -> bool:
    """Whether ~/.pgpass may give a password to a host that it does not name.

    Its lines name hosts, which leaves two cases: a line for any host, and `hostaddr`, to which libpq
    connects while it looks up `host` in the file.
    """
    with suppress(OSError, RuntimeError):
        lines = (Path.home() / ".pgpass").read_text(errors="replace").splitlines()
        return any(line.startswith("*:") for line in lines) or bool(lines and parameters.get("hostaddr"))
    return False


def _interpolated(sources: Sources) -> Iterator[Misplaced]:
    """Variables of the environment that python-dotenv puts into a value of `.env`: `${NAME}`."""
    written = {field: source for field, source in sources.items() if source.dotenv}
    endpoint = written.get(ADDRESS) or written.get("database_url")
    if endpoint:
        sent = [source.name for field, source in written.items() if field not in PATHS and not source.path]
        for name, holder in _references(sent):
            yield f"{name} in the environment, which {holder} in .env takes in,", endpoint


def _references(settings: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each variable of the environment that a setting in `.env` refers to, with the setting's name."""
    texts = defaultdict(list)  # of a name that `.env` sets twice, the first value may be used, too
    for name, value in DotEnv(".env", interpolate=False, encoding="utf-8").parse():
        texts[name].append(value or "")
    for name in sorted(settings):
        for variable in sorted(_referenced(name, texts)):
            if os.environ.get(variable):
                yield variable, name


def _referenced(name: str, texts: Mapping[str, list[str]]) -> set[str]:
    """Every variable that a name's value refers to, directly or through others."""
    known: set[str] = set()
    new = {name}
    while new:
        atoms = (atom for each in new for text in texts.get(each, ()) for atom in parse_variables(text))
        referenced = {atom.name for atom in atoms if isinstance(atom, Variable)}
        new = referenced - known
        known |= referenced
    return known


def _in_dotenv(source: SettingsSource | None) -> bool:
    return source is not None and source.dotenv
