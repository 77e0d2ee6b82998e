"""Where faults may be caused."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def local(url: str) -> bool:
    """Whether a URL's host is this machine, by its name alone: nobody is asked for an address."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
