"""What pages call the filters of the API."""

FILTER_NAMES = {
    "ai_model": "Model",
    "ai_org": "Provider",
    "prompt_slug": "Prompt",
    "environment": "Environment",
    "organisation": "Organisation",
    "user": "User",
    "status_code": "Status",
    "trace_id": "Trace",
    "span_id": "Span",
    "request_id": "Request",
    "has_feedback": "Has feedback",
    "join_state": "State",
    "comment": "Comment",
    "value": "Value",
    "weight": "Weight",
    "weighted_feedback": "Mean of value × weight",
    "response_time": "Latency in ms",
    "total_units": "Tokens",
    "cost": "Cost in US cents",
}
