"""The metrics of the gateway, with name, kind, unit, labels and meaning of each."""

from runtime.fast_metrics import Counter, Gauge, Histogram

GATEWAY_CALL_SECONDS = Histogram(
    "feedback_gateway_call_duration_seconds",
    "seconds",
    "Time from the arrival of a call to the end of its answer, by how it ended; its count is the number of calls."
    " `refused` calls did not pass, and are not logged.",
    ["outcome"],
    [
        *(("complete",), ("caller_left",), ("refused",)),
        *(("upstream_timed_out",), ("upstream_unreachable",), ("upstream_broke_off",)),
    ],
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
GATEWAY_LOGS = Counter(
    "feedback_gateway_logs_total",
    "logs",
    "Logs of calls that the API has accepted (`sent`), that it refused or that could not be written (`refused`), and"
    " that found no room while it could not be reached (`dropped`).",
    ["outcome"],
    [("sent",), ("refused",), ("dropped",)],
)
GATEWAY_OPEN_CALLS = Gauge("feedback_gateway_open_calls", "calls", "Calls that pass now.")
GATEWAY_HELD_BYTES = Gauge(
    "feedback_gateway_held_bytes",
    "bytes",
    "Bytes of bodies that are kept until their call is logged; FEEDBACK_GATEWAY_MAX_HELD_BYTES bounds them.",
)
