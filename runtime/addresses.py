"""Addresses of ClickHouse and Kafka in settings and commands, checked before anything connects to them."""

import re
from typing import Any
from urllib.parse import urlsplit

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
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


def without_password(url: str) -> str:
    """The text without user and password, so that it may be shown. It need not be a valid address."""
    scheme, slashes, rest = url.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def url_host(host: str) -> str:
    """The host as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _is_host(name: str) -> bool:
    return bool(_NAME.fullmatch(name) or (":" in name and _IPV6.fullmatch(name)))
