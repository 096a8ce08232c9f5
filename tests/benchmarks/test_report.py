"""What a benchmark found is kept, and the page says plainly which goals were missed."""

import json
from pathlib import Path

from benchmarks.report import PAGE, RESULTS, Benchmark, Figure, Goal, regenerate, save


def found(measured: float) -> Benchmark:
    ours = Figure(
        "ours", "events/s", [90.0, 110.0, 100.0], 0.5, {"the peer": measured}, [Goal("× the peer", measured, 4.0)]
    )
    return Benchmark("any", "Any", "make bench-any", ["What was measured."], [ours], {"peer": "1.2"})


def test_a_saved_benchmark_keeps_every_round_its_machine_and_versions(tmp_path: Path) -> None:
    save(found(5.0), tmp_path, tmp_path / "page.md")
    kept = json.loads((tmp_path / "any.json").read_text())
    assert kept["figures"][0]["rounds"] == [90.0, 110.0, 100.0]
    assert kept["figures"][0]["median"] == 100.0
    assert kept["machine"]["cores"] > 0
    assert kept["versions"]["peer"] == "1.2"
    assert "python" in kept["versions"]


def test_the_page_says_which_goals_are_met_and_which_are_missed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    save(found(5.0), tmp_path, page)
    assert "≥ 4 × the peer: 5, met" in page.read_text()
    assert "1 of 1 met" in page.read_text()
    save(found(3.9), tmp_path, page)
    assert "≥ 4 × the peer: 3.90, **missed**" in page.read_text()
    assert "0 of 1 met" in page.read_text()


def test_an_upper_bound_is_met_from_below() -> None:
    assert Goal("s", 1.5, 1.5, at_least=False).met
    assert not Goal("s", 1.6, 1.5, at_least=False).met


def test_the_page_made_again_from_the_files_is_the_same(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    save(found(5.0), tmp_path, page)
    before = page.read_text()
    page.unlink()
    regenerate(tmp_path, page)
    assert page.read_text() == before


def test_the_page_in_the_documents_is_made_of_the_results_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    regenerate(RESULTS, page)
    assert PAGE.read_text() == page.read_text(), "run python -m benchmarks.report"
