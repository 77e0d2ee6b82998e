"""Requests that a browser sends for a web page of somebody else: every page may send to 127.0.0.1.

A page cannot take away or change `Origin`, `Sec-Fetch-Site` and `Host`, which the browser itself sets (Fetch
Standard, "forbidden request-header"; W3C, "Fetch Metadata Request Headers"). `Host` is what remains where a
page makes its own name point to 127.0.0.1 after it was loaded (DNS rebinding): to the browser it then asks
its own server.
"""

from collections.abc import Mapping

OUR_OWN = frozenset({"none", "same-origin"})  # typed by the user; sent by what was loaded from here


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
