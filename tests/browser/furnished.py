"""What there is to look at: every page by its address, and a workspace with the week of an app."""

from datetime import UTC, datetime
from urllib.parse import quote

from deploy.demo.events import records_of
from deploy.demo.week import week
from ingest_api.settings import Settings
from tests.browser.dashboard_system import DashboardSystem, Workspace, request_log

_SEED, _REQUESTS = 7, 400


def week_of_an_app(system: DashboardSystem) -> Workspace:
    """A workspace with what `feedback demo` makes, and one request with the widest mean there is."""
    workspace = system.workspace()
    system.fill(records_of(week(_SEED, _REQUESTS, datetime.now(UTC)), workspace.name, Settings().limits))
    workspace.log(request_log("disliked"))
    workspace.rate("disliked", -10)
    return workspace


def addresses(trace_id: str) -> dict[str, str]:
    """Every page, in the states that its address asks for, by what it is."""
    opened = quote(trace_id, safe="")
    return {
        "logs": "/logs?range=7d",
        "logs with a trace": f"/logs?range=7d&open={opened}",
        "feedback": "/feedback?range=7d",
        "feedback with a trace": f"/feedback?range=7d&order=worst&open={opened}",
        "trace": f"/trace?id={opened}",
        "analytics": "/analytics?range=7d",
        "analytics of two models": "/analytics?range=7d&against=ai_model&by=metadata.plan",
        "requests": "/requests?range=7d",
        "pipeline": "/pipeline?partitions=all",
        "exports": "/exports",
        "keys": "/keys",
    }


def empty_addresses() -> dict[str, str]:
    """Those that look different in an empty workspace, and those that tell of an error."""
    pages = addresses("nobody")
    wrong = {"a filter that is wrong": "/logs?cost_min=cheap", "a figure that is wrong": "/analytics?cost_min=cheap",
             "times that are wrong": "/feedback?time_of_generation_min=2026-01-02&time_of_generation_max=2026-01-01",
             "signing in": "/sign-in"}  # fmt: skip
    differing = ("logs", "logs with a trace", "feedback", "trace", "analytics", "requests", "exports")
    return {name: pages[name] for name in differing} | wrong


def trace_of(workspace: Workspace) -> str:
    """A trace of the week with feedback."""
    found = workspace.call("GET", "/v1/logs", has_feedback="true", environment="production", page_size="1").json()
    return str(found["data"][0]["trace_id"])
