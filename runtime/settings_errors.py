"""Settings read from the environment, or every fault in them as one sentence that names its variable."""

import os
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from runtime.addresses import without_password
from runtime.known_settings import PREFIX, unknown_settings

Read = TypeVar("Read", bound=BaseSettings)


class SettingsError(Exception):
    """The environment is not usable; one sentence per line, each naming its variable."""


def load(settings: type[Read]) -> Read:
    """The settings that the environment gives. SettingsError with all that is wrong in it."""
    if unknown := unknown_settings(os.environ):
        raise SettingsError("\n".join(unknown))
    try:
        return settings()
    except ValidationError as faults:
        raise SettingsError("\n".join(_sentence(fault) for fault in faults.errors())) from None


def _sentence(fault: ErrorDetails) -> str:
    variable = f"{PREFIX}{fault['loc'][0]}".upper()
    rule = fault["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    rule = rule.replace("should", "must", 1).split(", unable to")[0]
    if "SECRET" in variable:
        return f"{variable} {rule}."
    given = fault["input"]
    return f"{variable} {rule}, got {without_password(given) if isinstance(given, str) else repr(given)}."
