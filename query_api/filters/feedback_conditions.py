"""Filters of feedback as conditions on a row of feedback.feedback, or of its table, with every value bound. Pure."""

from itertools import chain, product

from query_api.filters.conditions import Amount, Conditions, conditions_on_feedback
from query_api.filters.feedback_parameters import COMMENT_KEY, FeedbackFilters
from query_api.filters.parameter_values import Range

ORPHANED_BEFORE = "(SELECT orphaned_before FROM feedback.policy)"
"""Feedback created before this that still waits for its request is called orphaned."""
JOIN_STATE = (
    f"if({{row}}.join_state = 'pending' AND {{row}}.created_at < {ORPHANED_BEFORE}, 'orphaned', {{row}}.join_state)"
)
"""What a feedback is called; `row` is its table's name in the query."""

# What the table calls pending for ever, its view calls orphaned in time.
_STORED = {"joined": ["joined"], "pending": ["pending"], "orphaned": ["pending", "orphaned"]}
_AGES = {"pending": ">=", "orphaned": "<"}
_PLACES = 30
_MOST_MIXED = 3


def conditions_on_listed_feedback(filters: FeedbackFilters, alias: str, traces: Amount = "many") -> Conditions:
    """Which rows are asked for; `alias` is the name of the table in the query."""
    conditions = conditions_on_feedback(filters.shared, alias, traces)
    _add_join_state(conditions, filters, alias)
    for name, limits in (("value", filters.value), ("weight", filters.weight)):
        _add_range(conditions, f"{alias}.{name}", name, limits)
    comment = f"{alias}.metadata_texts['{COMMENT_KEY}']"
    for number, word in enumerate(filters.words):
        named = {f"word_{number}_{place}": each for place, each in enumerate(spellings(word))}
        found = (f"positionCaseInsensitiveUTF8({comment}, {{{name}:String}}) > 0" for name in named)
        conditions.add(f"({' OR '.join(found)})", **named)
    return conditions


def spellings(word: str) -> list[str]:
    """How a word may be written besides upper and lower case letter by letter: the capitals of ß are SS. Of a word with
    many of them either all or none are ß."""
    parts = word.casefold().split("ss")
    joints = len(parts) - 1
    ways = product(("ss", "ß"), repeat=joints) if joints <= _MOST_MIXED else (("ss",) * joints, ("ß",) * joints)
    written = ["".join(chain(*zip(parts, (*way, ""), strict=True))) for way in ways]
    return list(dict.fromkeys([word, *written])) if joints else [word]


def _add_join_state(conditions: Conditions, filters: FeedbackFilters, alias: str) -> None:
    state = filters.join_state
    # The column itself, which has an index, and not what a row is called by its age.
    if state is not None:
        conditions.add(f"{alias}.join_state IN {{stored_state:Array(String)}}", stored_state=_STORED[state])
    if state in _AGES:
        conditions.add(f"{alias}.created_at {_AGES[state]} {ORPHANED_BEFORE}")


def _add_range(conditions: Conditions, column: str, name: str, limits: Range) -> None:
    for end, comparison, limit in (("min", ">=", limits.least), ("max", "<=", limits.most)):
        if limit is not None:
            bound = f"toDecimal256({{{name}_{end}:String}}, {_PLACES})"
            conditions.add(f"{column} {comparison} {bound}", **{f"{name}_{end}": f"{limit:.{_PLACES}f}"})
