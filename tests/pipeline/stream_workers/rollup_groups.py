"""The groups of rollups that a row of feedback belongs to, the long way."""

import json
from typing import Any


def groups_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Dimension and key of each."""
    fields = {"organisation": "_organisation", "prompt": "_prompt", "user": "_user"}
    groups = [("all", ""), *((dimension, row[column]) for dimension, column in fields.items())]
    for model in row["models"] or [""]:
        groups += [("model", model), ("prompt_model", json.dumps([row["_prompt"], model], separators=(",", ":")))]
    return groups
