"""Whom the embedded engine answers: programs, and where it listens on this machine alone, those that name this machine.

A web page must not be able to run SQL on its visitor's machine, neither as itself nor under a name that it has had
pointed here. Users and passwords are left to a real server.
"""

import ipaddress
from collections.abc import Mapping


def refusal(headers: Mapping[str, str], *, only_loopback: bool) -> str | None:
    """Why a request with these headers is not answered, in a sentence; None where it is."""
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        return "A web page may not query this engine; call it from a program."
    if only_loopback and not _is_local_name(headers.get("host", "")):
        return f"This engine answers to localhost only, not to {headers['host']!r}."
    return None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_local_name(host_header: str) -> bool:
    """Whether a Host header is an address or localhost: a page under a rebound name cannot send either."""
    host = host_header.rpartition(":")[0] if host_header.rpartition(":")[2].isdigit() else host_header
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host in ("", "localhost")
    return True
