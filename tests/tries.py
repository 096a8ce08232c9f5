"""How often tests try what they draw at random: a little in every run, each of another seed; `make test-long` more."""

import os

TIMES = int(os.environ.get("TEST_TIMES") or 1)


def tries(usual: int, setting: str = "") -> int:
    """So often, unless the environment variable of this name says how often."""
    return int(os.environ.get(setting) or usual * TIMES)
