"""Numbers as clients send them: JSON numbers, or strings of digits; never booleans."""

import re
from typing import Any

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(value: Any) -> Any:
    """The number in a numeric string; anything else as it is, for pydantic to judge. ValueError for a boolean."""
    if value is True or value is False:
        raise ValueError("a boolean is not a number")
    if isinstance(value, str):
        match = _DECIMAL.fullmatch(value)
        if match is None:
            raise ValueError("not a number")
        return float(value) if match[1] or match[2] else int(value)
    return value


def not_boolean(value: Any) -> Any:
    """Anything but a boolean, as it is. ValueError for a boolean, which pydantic would take for 0 or 1."""
    if value is True or value is False:
        raise ValueError("a boolean is not a number")
    return value
