"""Requests that a browser sends for a web page of somebody else: every page may send to 127.0.0.1.

A page cannot take away or change `Origin`, `Sec-Fetch-Site` and `Host`, which the browser itself sets (Fetch
Standard, "forbidden request-header"; W3C, "Fetch Metadata Request Headers"). `Host` is what remains where a
page makes its own name point to 127.0.0.1 after it was loaded (DNS rebinding): to the browser it then asks
its own server.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

OUR_OWN = frozenset({"none", "same-origin"})  # typed by the user; sent by what was loaded from here
AUTHORITY = re.compile(
    r"(\[[0-9a-f:.]+\]|[^\s:@/\[\]]+?)\.?(?::\d{1,5})?", re.IGNORECASE
)  # a name or address, and a port
# Nobody can register a name in these: RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of .internal.
PRIVATE = ("localhost", "local", "internal", "home.arpa", "test")


def from_a_page(headers: Mapping[str, str]) -> str | None:
    """Why a request was sent for a web page from elsewhere; None where nothing says so.

    `headers` finds names in lower case.
    """
    if headers.get("origin") is not None:
        return "it has an Origin header, so a web page sent it"
    site = headers.get("sec-fetch-site")
    if site is not None and site.strip().lower() not in OUR_OWN:
        return "its Sec-Fetch-Site header says that another site sent it"
    return None


def by_another_name(headers: Mapping[str, str], own: frozenset[str]) -> str | None:
    """Why a request was meant for another server; None where its Host is one of `own` (in lower case).

    A request without one is let through: every browser sends it.
    """
    host = headers.get("host")
    if host is None or host.strip().lower() in own:
        return None
    return f"its Host header is none of {', '.join(sorted(own))}"


def by_a_public_name(headers: Mapping[str, str], own: frozenset[str]) -> str | None:
    """As `by_another_name`, for a server with names of its network that it does not know, whatever the port.

    A page can only be loaded from a name that its owner has registered. So let through are addresses, names
    without a dot, names below a private top-level domain, and `own`.
    """
    host = headers.get("host")
    if host is None or _private(host.strip(), own):
        return None
    return "its Host header is a public name that OUTBOX_METRICS_NAMES does not hold"


def _private(host: str, own: frozenset[str]) -> bool:
    match = AUTHORITY.fullmatch(host)
    if not match:
        return False
    name = match[1].lower()
    return name in own or "." not in name or _address(name) or name.endswith(tuple(f".{p}" for p in PRIVATE))


def _address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
