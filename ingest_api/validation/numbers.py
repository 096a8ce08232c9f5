"""Reads numbers as clients send them: as JSON numbers or numeric strings, never as booleans."""

import re
from decimal import Decimal
from typing import Any

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(value: Any) -> Any:
    """The number in a numeric string; any other value unchanged, for pydantic to check. ValueError for a boolean."""
    if value is True or value is False:
        raise ValueError("a boolean is not a number")
    if isinstance(value, str):
        match = _DECIMAL.fullmatch(value)
        if match is None:
            raise ValueError("not a number")
        return float(value) if match[1] or match[2] else int(value)
    return value


def not_boolean(value: Any) -> Any:
    """The value unchanged. ValueError for a boolean, which pydantic would read as 0 or 1."""
    if value is True or value is False:
        raise ValueError("a boolean is not a number")
    return value


def cents_of(dollars: float) -> float:
    """US dollars in cents, with the digits that they had: 0.000225 is 0.0225, and no more."""
    return float(Decimal(str(dollars)) * 100)
