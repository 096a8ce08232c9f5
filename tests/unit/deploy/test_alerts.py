"""The file of alerts that Prometheus loads: it asks only for metrics, labels and jobs that there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.fast_metrics import Counter, FastMetric, Histogram
from runtime.metrics_registry import PROGRAMS
from schemas.topics import INPUTS, TOPICS

REPOSITORY = Path(__file__).parents[3]
DOCUMENT = (REPOSITORY / "docs" / "metrics.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "alerts.yml").read_text())[
    "groups"
][0]["rules"]
OF_EVERY_TARGET = {"job", "instance"}
JOBS = {
    "feedback-api": ("edge", "query"),
    "feedback-worker": ("worker",),
    "feedback-rollup": ("rollup",),
    "feedback-gateway": ("gateway",),
}
METRICS: dict[str, FastMetric] = {metric.name: metric for metrics in PROGRAMS.values() for metric in metrics}
SELECTOR = re.compile(r"\b(up|feedback_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|=|!=)\s*"([^"]*)"')
BY = re.compile(r"\bby \(([^)]*)\)")


def rules(check: Any) -> Any:
    return pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])(check)


def selected(rule: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric that the rule asks for, with its matchers; parts of histograms under the histogram's name."""
    for name, matchers in SELECTOR.findall(rule["expr"]):
        histogram = re.sub(r"_(bucket|count|sum)$", "", name)
        yield (histogram if isinstance(METRICS.get(histogram), Histogram) else name), MATCHER.findall(matchers)


@rules
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    asked = list(selected(rule))
    assert asked
    for name, matchers in asked:
        labels = set() if name == "up" else set(METRICS[name].labels)
        for label, operator, value in matchers:
            assert label in labels | OF_EVERY_TARGET, f"{name} has no label {label}"
            found = values_of(name, label)
            if found is not None:
                matching = {each for each in found if bool(re.fullmatch(value, each)) == ("!" not in operator)}
                assert matching, f'{name} is nothing where {label}{operator}"{value}"'
                assert "~" in operator or value in found, f"{name} has no {label} {value}"
    for grouping in BY.findall(rule["expr"]):
        for label in grouping.replace(" ", "").split(","):
            assert label in OF_EVERY_TARGET | {"le"} or any(label in METRICS[name].labels for name, _ in asked)


def values_of(name: str, label: str) -> set[str] | None:
    """Values that the label can have, where they are known beforehand."""
    if label == "job":
        return set(JOBS)
    if label == "topic":
        return {topic.name for topic in TOPICS}
    metric = METRICS.get(name)
    if isinstance(metric, Counter) and label in metric.labels:
        return {str(each[metric.labels.index(label)]) for each in metric.known}
    return None


@rules
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch("Feedback[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "do"}
    for label in re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())):
        assert label in OF_EVERY_TARGET or any(label in METRICS[name].labels for name, _ in selected(rule))
    (row,) = re.findall(rf"^\| `{rule['alert']}` \|.*\|$", DOCUMENT, re.MULTILINE)
    assert rule["labels"]["severity"] in row


def test_the_document_names_no_alert_that_there_is_not() -> None:
    assert set(re.findall(r"`(Feedback[A-Z]\w+)`", DOCUMENT)) == {rule["alert"] for rule in RULES}


def test_the_jobs_are_those_of_the_document() -> None:
    assert set(re.findall(r"job_name: (\S+)", DOCUMENT)) == set(JOBS)


def test_lag_is_told_at_half_of_what_the_topics_keep() -> None:
    (kept_ms,) = {topic.retention_ms for topic in TOPICS if topic.name in INPUTS}
    (rule,) = [rule for rule in RULES if rule["alert"] == "FeedbackLagNearsRetention"]
    assert rule["expr"].endswith(f"> {(kept_ms or 0) // 2000}")
