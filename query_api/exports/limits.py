"""The limits of exports: without what answers calls, so that programs that answer none can read the settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits that are settings: of one workspace the first four, of all together the last two."""

    running: int
    files: int
    workspace_bytes: int
    orders: int
    all_bytes: int
    free_bytes: int
