"""Faults that pydantic finds, in our words."""

from typing import Any


def broken_rule(fault: Any) -> str:
    """Which rule the value breaks, as the rest of a sentence that begins with the value's name."""
    message: str = fault["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
