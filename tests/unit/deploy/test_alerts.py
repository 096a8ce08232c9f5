"""The file of alerts that Prometheus loads: it asks only for metrics, labels and jobs that there are."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.fast_metrics import Counter, FastMetric, Histogram
from runtime.metrics_registry import PROGRAMS
from schemas.topics import INPUTS, TOPICS

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "deploy" / "prometheus" / "alerts.yml"
DOCUMENT = (REPOSITORY / "docs" / "metrics.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
OF_EVERY_TARGET = {"job", "instance"}
JOBS = {
    "feedback-api": ("edge", "query"),
    "feedback-worker": ("worker",),
    "feedback-rollup": ("rollup",),
    "feedback-gateway": ("gateway",),
}
METRICS: dict[str, FastMetric] = {metric.name: metric for metrics in PROGRAMS.values() for metric in metrics}
OF_EVERY_PROGRAM = {"up", "process_start_time_seconds"}
SELECTOR = re.compile(r"\b(up|process_start_time_seconds|feedback_[a-z_]+)(?:\{([^}]*)\})?")
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
        labels = set() if name in OF_EVERY_PROGRAM else set(METRICS[name].labels)
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


# Of each half minute: commits, the start of the process, and its lag; then the alerts after a quarter of an hour.
ACCEPTED = "0+5x30"
HISTORIES = {
    "a worker that stores": ("0+1x30", "1x30", "0x30", set()),
    "a worker that waits for ClickHouse since its start": ("0x30", "1x30", "_x30", {"FeedbackNothingCommitted"}),
    "a worker that ends soon after each start": (
        " ".join(["0", "_"] * 15),
        " ".join(f"{number} _" for number in range(15)),
        "_x30",
        {"FeedbackNothingCommitted", "FeedbackProgramRestarts"},
    ),
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool on the PATH")
@pytest.mark.parametrize("history", HISTORIES.values(), ids=list(HISTORIES))
def test_what_no_worker_stores_is_told_however_the_worker_fails(
    history: tuple[str, str, str, set[str]], tmp_path: Path
) -> None:
    commits, starts, lag, told = history
    worker = 'job="feedback-worker",instance="w"'
    series = {
        'feedback_edge_events_accepted_total{job="feedback-api",kind="create"}': ACCEPTED,
        f"feedback_consumer_commits_total{{{worker}}}": commits,
        f"process_start_time_seconds{{{worker}}}": starts,
        f'feedback_consumer_lag_records{{{worker},topic="feedback.events.v1",partition="0"}}': lag,
    }
    firing = 'count by (alertname) (ALERTS{alertstate="firing",alertname!="FeedbackProgramMissing"})'
    found = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in told]
    test = {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": "14m", "exp_samples": found}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [str(FILE)], "tests": [test]}))
    ran = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
