"""Addresses as settings name them, checked alike by every program."""

from typing import Annotated

from pydantic import AfterValidator


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://, as in http://host:8123 or https://feedback.example.com")
    return url


HttpUrl = Annotated[str, AfterValidator(_http)]
"""An address with its scheme, kept as it was written."""

HttpUrlOrNone = Annotated[str, AfterValidator(lambda url: url and _http(url))]
"""The same, or empty."""
