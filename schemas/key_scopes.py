"""What API keys may allow."""

from typing import Literal, get_args

Scope = Literal[
    "feedback.write", "feedback.read", "logs.write", "logs.read", "analytics.read", "feedback.token", "admin"
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ADMIN: Scope = "admin"
