"""Turns graphs of the API into the data of charts. Pure.

A chart has `times` in seconds since 1970, `bucket_s`, the width of a bucket, and `series` of `name`, `values`, and the
value of the `whole` time. A series with a `unit`, which is `dollars`, `ms` or `mean`, is written as pages write these.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from runtime.times import parse_time

Buckets = tuple[tuple[timedelta, str], ...]
"""The buckets for ranges up to a length; for longer ranges the API chooses."""
FOR_COUNTS: Buckets = (
    (timedelta(hours=3), "minute"), (timedelta(hours=36), "10_minutes"), (timedelta(days=8), "hour"),
)  # fmt: skip
FOR_MEANS: Buckets = ((timedelta(hours=3), "10_minutes"),)
"""A mean of few says little, so it has wider buckets than a count."""


def bucket_for(since: str, until: str, buckets: Buckets = FOR_COUNTS) -> list[tuple[str, str]]:
    """The parameter for fine enough buckets; none if a time cannot be read."""
    try:
        length = parse_time(until) - parse_time(since)
    except ValueError:
        return []
    return [("bucket", name) for most, name in buckets if timedelta(0) < length <= most][:1]


def counts_over_time(graphs: Mapping[str, Any], field: str = "total") -> dict[str, Any] | None:
    """Several graphs over the same buckets as one chart; None if there are none."""
    shown = {name: graph for name, graph in graphs.items() if graph is not None}
    if not shown:
        return None
    times = sorted({point["timestamp"] for graph in shown.values() for point in graph["data_points"]})
    seconds = [parse_time(at).timestamp() for at in times]
    series = []
    for name, graph in shown.items():
        at = {point["timestamp"]: point[field] for point in graph["data_points"]}
        series.append({"name": name, "values": [at.get(each, 0) for each in times], "whole": graph["summary"][field]})
    return {"times": seconds, "series": series, "bucket_s": _width(next(iter(shown.values())))}


def signs_over_time(graph: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of feedback by the sign of its value, as stacked bars: each series includes those before it.

    The series are drawn from the last to the first, so that none hides another.
    """
    points, seconds = graph["data_points"], _seconds(graph)
    series, below = [], [0] * len(points)
    for name, colour in (("negative", "bad"), ("neutral", "series-1"), ("positive", "good")):
        own = [point[name] for point in points]
        below = [lower + count for lower, count in zip(below, own, strict=True)]
        whole = graph["summary"][name]
        series.append({"name": name.capitalize(), "colour": colour, "values": own, "tops": below, "whole": whole})
    return {"times": seconds, "series": series[::-1], "bucket_s": _width(graph)}


def mean_over_time(graph: Mapping[str, Any], name: str = "weighted_mean") -> dict[str, Any]:
    """A mean as a line with the band of its 95 % interval, and the number of feedbacks."""

    def values(key: str) -> list[float | None]:
        return [point[key] for point in graph["data_points"]]

    def series(label: str, key: str, **look: Any) -> dict[str, Any]:
        return {"name": label, "values": values(key), "whole": graph["summary"][key], **look}

    shown = [number for number in values(name) if number is not None]
    # An interval from two or three feedbacks exceeds the possible values.
    ends = [
        min(max(number, -10.0), 10.0)
        for end in ("low", "high")
        for number in values(f"{name}_{end}")
        if number is not None
    ]
    low, high = min([*shown, *ends, 0.0]), max([*shown, *ends, 0.0])
    room = 0.05 * max(high - low, 1.0)
    return {
        "times": _seconds(graph),
        "series": [
            series("95 % from", f"{name}_low", faint=True, unit="mean"),
            series("to", f"{name}_high", faint=True, unit="mean"),
            series("Weighted average", name, colour="accent", unit="mean"),
            series("n", "n", faint=True, scale="n"),
        ],
        "bands": [{"series": [2, 1]}],
        "range": [max(low - room, -10), min(high + room, 10)],
        "bucket_s": _width(graph),
    }


def part_of(graph: Mapping[str, Any], part: str) -> dict[str, Any]:
    """One part of a graph whose summary and points have several."""
    points = [{"timestamp": point["timestamp"], **point[part]} for point in graph["data_points"]]
    return {**graph, "summary": graph["summary"][part], "data_points": points}


def fields_over_time(
    graph: Mapping[str, Any], fields: Mapping[str, str], colours: Mapping[str, str] | None = None, unit: str = ""
) -> dict[str, Any]:
    """Several fields of one graph as one chart, like `counts_over_time`. A missing value leaves a gap.

    `fields` are fields of the API by the label of the series, `colours` CSS variables by the same label. The unit
    `dollars` makes dollars of cents.
    """

    def shown(number: float | None) -> float | None:
        return number / 100 if number is not None and unit == "dollars" else number

    points = graph["data_points"]
    series = [
        {"name": name, "values": [shown(point[field]) for point in points], "whole": shown(graph["summary"][field])}
        | ({"colour": colours[name]} if colours and name in colours else {})
        | ({"unit": unit} if unit else {})
        for name, field in fields.items()
    ]
    return {"times": _seconds(graph), "series": series, "bucket_s": _width(graph)}


_BUCKETS_S = {"minute": 60, "10_minutes": 600, "hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 31 * 86_400}


def _seconds(graph: Mapping[str, Any]) -> list[float]:
    return [parse_time(point["timestamp"]).timestamp() for point in graph["data_points"]]


def _width(graph: Mapping[str, Any]) -> int:
    return _BUCKETS_S[graph["bucket"]]
