"""Graphs of the API as the charts of the pages take them: one row of times, and rows of numbers beside it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def counts_over_time(graphs: Mapping[str, Any], field: str = "total") -> dict[str, Any] | None:
    """Several graphs over the same buckets as one chart; None where none of them can be shown.

    Shape: `times` in seconds since 1970, `series` of `name` and `values`, and `bucket_s`, the first bucket's width.
    """
    shown = {name: graph for name, graph in graphs.items() if graph is not None}
    if not shown:
        return None
    times = sorted({point["timestamp"] for graph in shown.values() for point in graph["data_points"]})
    seconds = [datetime.fromisoformat(at).timestamp() for at in times]
    series = []
    for name, graph in shown.items():
        at = {point["timestamp"]: point[field] for point in graph["data_points"]}
        series.append({"name": name, "values": [at.get(each, 0) for each in times]})
    width = seconds[1] - seconds[0] if len(seconds) > 1 else 3600
    return {"times": seconds, "series": series, "bucket_s": width}


def signs_over_time(graph: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of feedback by the sign of its value, each series with those before it added: bars that stand on another.

    Drawn from the last series to the first, so that none hides behind another.
    """
    points = graph["data_points"]
    seconds = [datetime.fromisoformat(point["timestamp"]).timestamp() for point in points]
    series, below = [], [0] * len(points)
    for name, colour in (("negative", "bad"), ("neutral", "series-1"), ("positive", "good")):
        own = [point[name] for point in points]
        below = [lower + count for lower, count in zip(below, own, strict=True)]
        series.append({"name": name.capitalize(), "colour": colour, "values": own, "tops": below})
    width = seconds[1] - seconds[0] if len(seconds) > 1 else 3600
    return {"times": seconds, "series": series[::-1], "bucket_s": width}
