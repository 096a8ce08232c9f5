"""Sentences for the validation errors of pydantic."""

from typing import Any


def broken_rule(fault: Any) -> str:
    """The rule that a value breaks, as the rest of a sentence that begins with the name of the value."""
    message: str = fault["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
