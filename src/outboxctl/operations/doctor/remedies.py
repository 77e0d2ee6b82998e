"""The commands that fix a finding, ready for a shell or psql."""

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from outboxctl.domain.projection import Projection
from outboxctl.net.urls import credentials
from outboxctl.settings import Settings

SINK = "SINK"  # stands for the sink's address


def apply(projection: Projection) -> str:
    """Bring the database and the index to what the projection's file declares."""
    return f"outboxctl projection apply FILE --by YOU --reason WHY  # FILE declares {projection.name}"


def request(method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """A request to the sink; `reaching` puts in its address."""
    data = f" -H 'Content-Type: application/json' -d {quote(json.dumps(body))}" if body else ""
    return f"curl -X {method} {SINK}/{quote(path)}{data}"


def reaching(mend: str, settings: Settings, *, user: str = "") -> str:
    """The command with the sink's address; secrets stay in the environment, or curl asks `user` for one."""
    if not mend.startswith("curl "):
        return mend
    url = settings.sink_urls[0].rstrip("/")
    where = '"${ELASTIC_URL%%,*}"' if credentials(url) else quote(url)
    options = _options(settings)
    if user and not (settings.elastic_api_key or settings.elastic_username or credentials(url)):
        options.append(f"-u {quote(user)}")
    return mend.replace(SINK, where, 1).replace("curl", " ".join(["curl", *options]), 1)


def _options(settings: Settings) -> list[str]:
    files = {
        '--cacert "$ELASTIC_CA_CERTS"': settings.elastic_ca_certs,
        '--cert "$ELASTIC_CLIENT_CERT"': settings.elastic_client_cert,
        '--key "$ELASTIC_CLIENT_KEY"': settings.elastic_client_key,
    }
    options = [option for option, path in files.items() if path]
    if settings.elastic_api_key:
        options.append('-H "Authorization: ApiKey $ELASTIC_API_KEY"')
    elif settings.elastic_username:
        options.append('-u "$ELASTIC_USERNAME:$ELASTIC_PASSWORD"')
    return options


def index_setting(index: str, **settings: Any) -> str:
    """Change settings of one index; None restores the engine's default."""
    return request("PUT", f"{index}/_settings", {"index": settings})


def export(name: str, value: object) -> str:
    """Set one of outboxctl's settings; seconds without needless decimals."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"export {name}={quote(text)}"
