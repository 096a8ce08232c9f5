"""Metrics: what is counted is shown as counted, and the document names all there are."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest_api.http.telemetry import reason_of, request_id_of
from operations.dead_letters.letters import WHAT_TO_DO
from runtime.fast_metrics import Counter, FastMetric, Gauge, Histogram
from runtime.http_errors import ApiError
from runtime.metrics import DEAD_REASONS
from runtime.metrics_registry import PROGRAMS, registry_of

DOCUMENT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()


def exported_samples(*metrics: FastMetric) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples of these as Prometheus reads them: name and label values to number."""
    registry = CollectorRegistry()
    for metric in metrics:
        registry.register(metric)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def names(registry: CollectorRegistry) -> dict[str, str]:
    """The metrics of a registry, but for those of the process itself, with their types."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    total = {family.name + ("_total" if family.type == "counter" else ""): family.type for family in families}
    return {name: kind for name, kind in total.items() if not name.startswith("process_")}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_shows_the_metrics_that_are_declared_for_it_and_no_other(program: str) -> None:
    assert names(registry_of(program)) == {metric.name: metric.kind for metric in PROGRAMS[program]}


def test_the_document_names_each_metric_with_kind_unit_labels_and_meaning_and_no_other() -> None:
    known = set()
    for metric in {metric for metrics in PROGRAMS.values() for metric in metrics}:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        known.add(f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.about} |")
    assert set(re.findall(r"^\| `feedback_.*\|$", DOCUMENT, re.MULTILINE)) == known


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_counter_is_there_at_0_from_the_start(program: str) -> None:
    """Prometheus sees no growth from nothing to 1: the first dead letter would alert nobody."""
    for metric in PROGRAMS[program]:
        if isinstance(metric, Counter):
            assert metric.known, f"{metric.name}: which values can its labels have?"
            assert all(len(labels) == len(metric.labels) for labels in metric.known if metric.labels)
            there = {tuple(sorted(labels)) for _, labels in exported_samples(metric)}
            assert there >= {tuple(sorted(map(str, labels))) for labels in metric.known}


def test_the_reasons_of_dead_letters_are_those_that_workers_give() -> None:
    code = "".join(path.read_text() for path in (Path(__file__).parents[3] / "stream_workers").rglob("*.py"))
    given = set(re.findall(r'(?:InvalidEventError|Conflict)\(\s*"(\w+)"', code))
    assert given == set(DEAD_REASONS) == set(WHAT_TO_DO)


def test_the_document_uses_no_metric_that_does_not_exist() -> None:
    known = {metric.name for metrics in PROGRAMS.values() for metric in metrics}
    used = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for name in re.findall(
            r"\bfeedback_(?:http|edge|query|consumer|worker|rollup|gateway|clickhouse|task)_[a-z_]+", DOCUMENT
        )
    }
    assert used - known == set()


@given(st.lists(st.floats(min_value=0, max_value=20)))
def test_a_histogram_counts_every_value_below_each_bound(values: list[float]) -> None:
    bounds = (0.5, 1, 10)
    histogram = Histogram("h", "seconds", "about", ["l"], bounds=bounds)
    for value in values:
        histogram.observe(value, "x")
    found = exported_samples(histogram)
    if values:
        for bound in bounds:
            assert found["h_bucket", ("x", str(float(bound)))] == sum(value <= bound for value in values)
        assert found["h_bucket", ("x", "+Inf")] == found["h_count", ("x",)] == len(values)
        assert found["h_sum", ("x",)] == pytest.approx(sum(values))
    else:
        assert found == {}


def test_what_is_known_beforehand_is_shown_before_it_is_counted() -> None:
    counter = Counter("c_total", "things", "about", ["l"], [("a",), ("b",)])
    counter.add("a", by=3)
    counter.add(7)
    plain = Counter("p_total", "things", "about")
    assert exported_samples(counter, plain) == {
        ("c_total", ("a",)): 3,
        ("c_total", ("b",)): 0,
        ("c_total", ("7",)): 1,
        ("p_total", ()): 0,
    }


def test_a_gauge_is_read_when_it_is_shown() -> None:
    gauge, now = Gauge("g", "things", "about"), {(): 1.0}
    assert exported_samples(gauge) == {}
    gauge.set_callback(lambda: now)
    now[()] = 2.0
    assert exported_samples(gauge) == {("g", ()): 2}


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (ApiError("", "value"), "value"),
        (ApiError("", "[12].metadata.a[3].b"), "metadata"),
        (ApiError("", "[12]"), "malformed"),
        (ApiError("", "traceID"), "trace_id"),
        (ApiError("", "metadata[3]"), "metadata"),
        (ApiError("", "a key of the caller's"), "malformed"),
        (ApiError(""), "malformed"),
        (ApiError("", "Idempotency-Key", 409), "conflict"),
        (ApiError("", None, 418), "other"),
    ],
)
def test_a_refusal_has_one_of_few_reasons(refusal: ApiError, reason: str) -> None:
    assert reason_of(refusal) == reason


@pytest.mark.parametrize("given_id", [b"r-1", b"x" * 128, b"5f0c/7:2"])
def test_a_well_formed_request_id_is_kept(given_id: bytes) -> None:
    assert request_id_of({b"x-request-id": given_id}) == given_id


@pytest.mark.parametrize("given_id", [b"", b"x" * 129, b"a b", b'"', b"a\nb", "ä".encode()])
def test_any_other_request_id_is_made_anew(given_id: bytes) -> None:
    made = {request_id_of({b"x-request-id": given_id}) for _ in range(10)}
    assert len(made) == 10
    assert given_id not in made
