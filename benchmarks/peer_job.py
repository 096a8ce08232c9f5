"""What both peers decide about a feedback and a request, a plain dict at a time, as a user would write it.

How they read, keep state, publish and insert is their framework's, and stays with each.
"""

import json
from datetime import datetime
from typing import Any

Event = dict[str, Any]


def facts_of(request: Event) -> Event:
    """What is remembered of a trace's request."""
    return {"model": request["model"], "provider": request["provider"], "user": request["_user"]}


def joined(feedback: Event, facts: Event) -> Event:
    """The feedback with what is remembered of its request, if anything."""
    return {
        **feedback,
        "join_state": "joined" if facts else "pending",
        "model": facts.get("model", ""),
        "provider": facts.get("provider", ""),
        "_user": feedback.get("_user") or facts.get("user", ""),
    }


def updated(total: Event | None, feedback: Event) -> Event:
    """The numbers of a trace with one more feedback."""
    value, weight = feedback["value"], feedback["weight"]
    if not total:
        total = {"feedback_count": 0, "weight_sum": 0.0, "value_weight_sum": 0.0, "value_min": 10, "value_max": -10}
    count = total["feedback_count"] + 1
    return {
        "workspace": feedback["workspace"],
        "trace_id": feedback["trace_id"],
        "feedback_count": count,
        "weight_sum": total["weight_sum"] + weight,
        "value_weight_sum": total["value_weight_sum"] + value * weight,
        "value_min": min(total["value_min"], value),
        "value_max": max(total["value_max"], value),
        "value_last": value,
        "version": count,
    }


def feedback_row(feedback: Event) -> tuple[Any, ...]:
    """FEEDBACK_COLUMNS of a joined feedback."""
    return (
        feedback["feedback_id"],
        feedback["workspace"],
        feedback["trace_id"],
        feedback["value"],
        feedback["weight"],
        datetime.fromisoformat(feedback["created_at"]),
        feedback["join_state"],
        feedback["model"],
        feedback["provider"],
        feedback["_user"],
        feedback.get("_organisation", ""),
        feedback.get("_prompt", ""),
        feedback.get("_environment", ""),
        json.dumps(feedback["metadata"]),
    )
