"""Addresses of ClickHouse and Kafka in settings and commands, checked before anything connects to them."""

import re
from typing import Any
from urllib.parse import urlsplit

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_PARAMETERS = re.compile("[?#]")
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_BROKER = re.compile(r"(?:\[([^\]]*)\]|([^\[\]:]*)):(\d{1,5})", re.ASCII)


def http_url(text: str) -> str:
    """The address, unchanged. ValueError, which never quotes a password, unless it is an http or https address."""
    if not text.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://, as in http://host:8123 or https://feedback.example.com")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(
            "must be as in http://user:password@host:8123, with a port from 1 to 65535 and %2F, %3F, %23 for / ? # in a"
            " password"
        ) from None
    if not text.isprintable() or " " in text:
        raise ValueError("must hold no spaces: write %20 for one in a password")
    if not _is_host(host):
        raise ValueError(f"must name a host, as in http://host:8123, got {host!r}")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("must have a port from 1 to 65535, as in http://host:8123")
    return text


def dsn(url: str) -> dict[str, Any]:
    """The arguments of clickhouse_connect for this address. Given a dsn alone, it ignores the scheme: it would send a
    password over plain HTTP to an https address on any port but 443 and 8443."""
    return {"dsn": url, "interface": urlsplit(url).scheme}


def brokers(text: str) -> str:
    """A list of Kafka brokers without spaces. ValueError where one is not host:port."""
    found = [each.strip() for each in text.split(",")]
    for each in found:
        match = _BROKER.fullmatch(each)
        if match is None or not 1 <= int(match[3]) <= 65535 or not _is_host(match[1] or match[2]):
            raise ValueError("must be host:port, or several with commas between them")
    return ",".join(found)


def without_password(text: str) -> str:
    """The text without users, passwords and parameters, so that it may be shown. It need not be valid addresses.

    Keys and passwords stand in parameters too: ClickHouse takes `?password=…`, and some providers `?key=…`.
    """
    addresses: list[list[str]] = []
    for part in text.split(","):
        if not addresses or _SCHEME.match(part):
            addresses.append([])
        addresses[-1].append(part)  # a password may have commas
    return ",".join(_without_password(",".join(parts)) for parts in addresses)


def _without_password(url: str) -> str:
    found = _SCHEME.match(url)
    scheme = found[0] if found else ""
    place, *parameters = _PARAMETERS.split(url[len(scheme) :].rpartition("@")[2], maxsplit=1)
    return f"{scheme}{place}{'?…' if parameters else ''}"


def url_host(host: str) -> str:
    """The host as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _is_host(name: str) -> bool:
    return bool(_NAME.fullmatch(name) or (":" in name and _IPV6.fullmatch(name)))
