"""What people ask in the demo's app, what they are answered, and what they say about it, in six languages.

The texts stand in `languages/`, a file for each language. `{few}` and `{number}` in them are filled in by each use.
"""

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

LANGUAGES = ("en", "de", "es", "ja", "ar", "hi")
_FOLDER = Path(__file__).parent / "languages"


class Exchange(NamedTuple):
    """A question, a good answer to it and a weak one."""

    ask: str
    good: str
    weak: str


@cache
def _texts(language: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads((_FOLDER / f"{language}.json").read_text("utf-8"))
    return found


def exchange(random: Random, language: str, kind: str) -> Exchange:
    """One of this kind: `support`, `follow_up`, `summary` or `draft`."""
    few, number = str(random.randint(3, 9)), str(random.randint(1_000, 99_999))
    found = random.choice(_texts(language)[kind])
    filled = {name: text.replace("{few}", few).replace("{number}", number) for name, text in found.items()}
    return Exchange(**filled)


def comment(random: Random, language: str, kind: str) -> str:
    """What somebody says: `praise`, `complaint`, `mixed`, or `broken` of what failed."""
    return str(random.choice(_texts(language)[kind]))
