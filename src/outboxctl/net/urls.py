"""URLs of both ends: parsed, normalised, checked, and masked for people. An error never repeats the URL."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import CONTROL
from outboxctl.domain.redaction import hides

DATABASE_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres")
SEPARATOR = re.compile("[/?#]")
DEFAULT_PORTS = {"http": 80, "https": 443}
STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
# One host of a database URL: a name or an address, in brackets where it is one of IPv6; a port.
HOST = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]*)(:\d*)?")
EXPECTED = "expected postgresql://user:password@host:5432/name"


def check_database_url(url: str) -> str:
    """Return the URL as libpq reads it; ValueError, without any part of it, if it would not."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.lower() not in DATABASE_SCHEMES or CONTROL.search(url.strip()):
        raise ValueError(EXPECTED)
    if _ambiguous(rest):
        raise ValueError("percent-encode the special characters in user and password: / is %2F, @ is %40")
    if STRAY_PERCENT.search(rest):
        raise ValueError("a percent sign must be followed by two hex digits: a % itself is written %25")
    authority = SEPARATOR.split(rest, maxsplit=1)[0]
    userinfo, at, hosts = authority.rpartition("@")
    _check_hosts(hosts)
    # libpq takes brackets in a password as they are, Python takes them for an address.
    userinfo = userinfo.replace("[", "%5B").replace("]", "%5D")
    return f"postgresql://{userinfo}{at}{hosts}{rest[len(authority) :]}"


def check_sink_urls(urls: str) -> list[str]:
    """Split comma-separated URLs and give each an explicit port; ValueError on a malformed one."""
    parts = [part.strip() for part in urls.split(",") if part.strip()]
    if not parts:
        raise ValueError("expected one URL or several, comma-separated")
    return [_with_port(part) for part in parts]


def parse_url(url: str, setting: str = "") -> SplitResult:
    """The parts of a URL. UsageError names the setting and what is wrong, but nothing of the URL."""
    scheme = url.strip().partition("://")[0]
    database = scheme.lower() in DATABASE_SCHEMES
    try:
        return _parts(check_database_url(url))._replace(scheme=scheme) if database else _split(url)
    except ValueError as error:
        setting = setting or ("DATABASE_URL" if database else "ELASTIC_URL")
        raise UsageError(f"bad setting {setting}: {error}") from None


def credentials(url: str) -> tuple[str, str] | None:
    """User and password inside a URL, decoded; None where there is no user. As `parse_url`."""
    parts = parse_url(url)
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def without_credentials(url: str) -> str:
    """The URL without user and password: safe to print, and to hand to a client. As `parse_url`."""
    parts = parse_url(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def mask(url: str) -> str:
    """The URL for people: password and unknown parameters replaced by `***`."""
    scheme, _, rest = url.partition("://")
    if _ambiguous(rest):
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    try:
        parts = _parts(url)
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
    hidden = [(k, "***" if hides(k) else v) for k, v in pairs]
    return urlencode(hidden, safe="*/:,", quote_via=quote)


def _with_port(url: str) -> str:
    parts = _split(url)
    if parts.port is not None:
        return urlunsplit(parts)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{DEFAULT_PORTS[parts.scheme]}"))


def _check_hosts(hosts: str) -> None:
    """ValueError for hosts and ports of a database URL that libpq cannot read."""
    for host in hosts.split(","):
        if not HOST.fullmatch(host):
            if host.count("[") != host.count("]"):
                raise ValueError("a bracket of an IPv6 address is not closed: [::1]:5432")
            raise ValueError(f"a host or its port cannot be read, a port is a number: {EXPECTED}")


def _parts(url: str) -> SplitResult:
    """ValueError where Python cannot take it apart, in words that hold nothing of it."""
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("it cannot be taken apart: percent-encode special characters") from None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or CONTROL.search(url) or " " in url or parts.query or parts.fragment:
        raise ValueError("expected http://host:9200 or https://host:9200")
    return parts


def local(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
