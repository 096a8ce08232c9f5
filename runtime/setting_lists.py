"""Settings that are lists, with commas between their parts."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from runtime.comma_lists import parts_of
from runtime.request_origin import Origin, host_names, origins_in


def _parts(value: object) -> object:
    return parts_of(value) if isinstance(value, str) else value


def _hosts(value: object) -> object:
    return host_names(value) if isinstance(value, str) else value


def _origins(value: object) -> object:
    return origins_in(value) if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_origins)]
