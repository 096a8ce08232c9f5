"""What a row says under a key of metadata, as a condition of ClickHouse on requests or feedback. Pure.

The index by_metadata_pair of both tables knows which rows say a text under a key. So a condition asks by its very
expression, and ClickHouse answers it without a look at metadata.
"""

from collections.abc import Sequence
from typing import Any

from query_api.filters.parameters import SPECIALS, LogFilters

_BETWEEN = "\x1f"
_PAIRS = (
    "arrayMap((key, text) -> concat(key, '\\x1F', text), mapKeys({at}metadata_texts), mapValues({at}metadata_texts))"
)


def says(filters: LogFilters, number: int, key: str, at: str) -> str:
    """That a row itself says the text asked for under the key of this number; `at` names its table, with a dot."""
    if key in SPECIALS:
        return map_says(number, key, at)
    pair = f"has({_PAIRS.format(at=at)}, concat({{key_{number}:String}}, '\\x1F', {{text_{number}:String}}))"
    # Two pairs look alike only where a key or a text holds what stands between them.
    return f"{pair} AND {map_says(number, key, at)}" if _BETWEEN in key + filters.metadata[key] else pair


def map_says(number: int, key: str, at: str) -> str:
    """The same, by a look at metadata."""
    if key in SPECIALS:
        return f"{at}{key} = {{text_{number}:String}}"
    return f"{at}metadata_texts[{{key_{number}:String}}] = {{text_{number}:String}}"


def says_one_of(key: str, value: str, texts: Sequence[str], at: str) -> tuple[str, dict[str, Any]]:
    """That a row itself says one of these texts under a key, and the parameters; `value` is SQL for what it says, with
    the empty text if it says nothing."""
    parameters: dict[str, Any] = {"said": list(texts)}
    is_said = f"{value} IN {{said:Array(String)}}"
    if key in SPECIALS or "" in texts:
        return is_said, parameters
    parameters["said_pairs"] = [f"{key}{_BETWEEN}{text}" for text in texts]
    pair = f"hasAny({_PAIRS.format(at=at)}, {{said_pairs:Array(String)}})"
    return (f"{pair} AND {is_said}" if any(_BETWEEN in key + text for text in texts) else pair), parameters


def metadata_asked(filters: LogFilters, number: int, key: str) -> dict[str, str]:
    """The parameters of both."""
    text = {f"text_{number}": filters.metadata[key]}
    return text if key in SPECIALS else {f"key_{number}": key} | text
