"""Settings read from the environment; a fault in them is one sentence that names the variable."""

import os
import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from runtime.addresses import without_password
from runtime.known_settings import PREFIX, unknown_settings
from runtime.pydantic_errors import broken_rule

Read = TypeVar("Read", bound=BaseSettings)


class SettingsError(Exception):
    """Settings are faulty. Each line of the message is a sentence that names its variable."""


def load(settings: type[Read]) -> Read:
    """The settings in the environment. SettingsError with all their faults."""
    if unknown := unknown_settings(os.environ):
        raise SettingsError("\n".join(unknown))
    try:
        return settings()
    except ValidationError as faults:
        raise SettingsError("\n".join(_sentence(fault) for fault in faults.errors())) from None


def load_or_print(settings: type[Read], program: str = "") -> Read | None:
    """The settings in the environment. None where they are faulty: then each fault is a line on stderr."""
    try:
        return load(settings)
    except SettingsError as faults:
        for fault in str(faults).splitlines():
            print(f"{program}: {fault}" if program else fault, file=sys.stderr)
        return None


def _sentence(fault: ErrorDetails) -> str:
    variable = f"{PREFIX}{fault['loc'][0]}".upper()
    rule = broken_rule(fault).replace("should", "must", 1).split(", unable to")[0]
    if "SECRET" in variable:
        return f"{variable} {rule}."
    given = fault["input"]
    return f"{variable} {rule}, got {without_password(given) if isinstance(given, str) else repr(given)}."
