"""What every benchmark can be told on its command line."""

import argparse
from pathlib import Path

from benchmarks.report import PAGE, RESULTS, Benchmark, save


def parser(about: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """With --rounds and --results; sizes are each benchmark's own."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=rounds, help=f"how often each is measured (default: {rounds})")
    made.add_argument("--results", type=Path, help="keep results and page in this folder, not in the repository")
    return made


def keep(options: argparse.Namespace, benchmark: Benchmark) -> None:
    """Save where the options say."""
    if options.results:
        save(benchmark, options.results, options.results / "benchmarks.md")
    else:
        save(benchmark, RESULTS, PAGE)
