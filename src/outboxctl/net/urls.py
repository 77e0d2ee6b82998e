"""URLs of both ends: normalised, checked, and masked for people. An error never repeats the URL."""

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from outboxctl.domain.printable import CONTROL

DATABASE_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres")
SECRET_WORDS = ("pass", "secret", "token", "key")
PATHS = {"sslkey"}  # where a secret lies, which is none
SEPARATOR = re.compile("[/?#]")
DEFAULT_PORTS = {"http": 80, "https": 443}


def check_database_url(url: str) -> str:
    """Return the URL as libpq reads it (scheme `postgresql`); ValueError on another scheme."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.lower() not in DATABASE_SCHEMES or CONTROL.search(url.strip()):
        raise ValueError("expected postgresql://user:password@host:5432/name")
    if _ambiguous(rest):
        raise ValueError("percent-encode the special characters in user and password: / is %2F, @ is %40")
    return f"postgresql://{rest}"


def check_sink_urls(urls: str) -> list[str]:
    """Split comma-separated URLs and give each an explicit port; ValueError on a malformed one."""
    parts = [part.strip() for part in urls.split(",") if part.strip()]
    if not parts:
        raise ValueError("expected one URL or several, comma-separated")
    return [_with_port(part) for part in parts]


def credentials(url: str) -> tuple[str, str] | None:
    """User and password inside a URL, decoded; None where there is no user."""
    parts = urlsplit(url)
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def without_credentials(url: str) -> str:
    """The URL without user and password: safe to print, and to hand to a client."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def mask(url: str) -> str:
    """The URL for people: password and secret-looking parameters replaced by `***`."""
    scheme, _, rest = url.partition("://")
    if _ambiguous(rest):
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = parts._replace(netloc=f"{name}{':***' if colon else ''}{at}{hosts}", query=_mask_query(parts))
    return urlunsplit(shown)


def _ambiguous(rest: str) -> bool:
    """Whether an unencoded `/`, `?`, `#` or `@` may have cut a password in two: parts of it look public."""
    authority = SEPARATOR.split(rest, maxsplit=1)[0]
    return authority.count("@") > 1 or "@" in rest[len(authority) :]


def _mask_query(parts: SplitResult) -> str:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    hidden = [(k, "***" if _hides(k.lower()) else v) for k, v in pairs]
    return urlencode(hidden, safe="*/:,", quote_via=quote)


def _hides(name: str) -> bool:
    return name not in PATHS and any(word in name for word in SECRET_WORDS)


def _with_port(url: str) -> str:
    parts = _split(url)
    if parts.port is not None:
        return urlunsplit(parts)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{DEFAULT_PORTS[parts.scheme]}"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or CONTROL.search(url) or " " in url or parts.query or parts.fragment:
        raise ValueError("expected http://host:9200 or https://host:9200")
    return parts
