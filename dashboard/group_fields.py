"""A field by which feedback is grouped or compared, as the API names it: one of its own, or `metadata.KEY`. Pure."""

from collections.abc import Container

from dashboard.page_query import META

_OF_A_KEY = "metadata."


def field_of(asked: str, known: Container[str]) -> str:
    """The field that is asked for; any other name than a known one is a metadata key."""
    return asked if asked in known or asked.startswith(_OF_A_KEY) else f"{_OF_A_KEY}{asked}"


def key_of(field: str) -> str:
    """The metadata key of a field; empty if it is of none."""
    return field.removeprefix(_OF_A_KEY) if field.startswith(_OF_A_KEY) else ""


def filter_of(field: str) -> str:
    """The parameter of a page that filters by the field."""
    key = key_of(field)
    return f"{META}{key}" if key else field
