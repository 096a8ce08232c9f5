"""The type of a setting that is a list: text with commas between the items."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def parts_of(text: str) -> list[str]:
    """The parts of a list, trimmed. A comma at its end is ignored. Any other empty part stays: a slip to be refused."""
    parts = [each.strip() for each in text.split(",")]
    return parts[:-1] if not parts[-1] else parts


def _read(value: object) -> object:
    return parts_of(value) if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read)]
"""A setting whose text has commas between its parts."""
