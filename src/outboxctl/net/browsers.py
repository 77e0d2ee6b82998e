"""Requests that a browser sends for a web page of somebody else: every page may send to 127.0.0.1.

A page cannot take away or change `Origin`, `Sec-Fetch-Site` and `Host`, which the browser itself sets (Fetch
Standard, "forbidden request-header"; W3C, "Fetch Metadata Request Headers"). `Host` is what remains where a
page makes its own name point to 127.0.0.1 after it was loaded (DNS rebinding): to the browser it then asks
its own server.
"""

from collections.abc import Mapping

OUR_OWN = frozenset({"none", "same-origin"})  # typed by the user; sent by what was loaded from here


def from_a_page(headers: Mapping[str, str], own: frozenset[str]) -> str | None:
    """Why a request was sent for a web page from elsewhere, or meant for another server; else None.

    `headers` finds names in lower case. `own` are our names, in lower case; a request without `Host` is let
    through: every browser sends it.
    """
    if headers.get("origin") is not None:
        return "it has an Origin header, so a web page sent it"
    if headers.get("sec-fetch-site", "none").strip().lower() not in OUR_OWN:
        return "its Sec-Fetch-Site header says that another site sent it"
    host = headers.get("host")
    if host is not None and host.strip().lower() not in own:
        return f"its Host header is none of {', '.join(sorted(own))}"
    return None
