"""Runs `wrk`, a load generator, beside the measured core."""

import re
import shutil
import subprocess
import sys
import tempfile

from benchmarks.engines import OTHER_CORE


def require_wrk() -> None:
    """End the program with a sentence where there is no `wrk`."""
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: apt-get install wrk")


def run_wrk(script: str, url: str, connections: int, seconds: int) -> tuple[float, int]:
    """Calls per second over connections that each wait for their answer, and calls in all. `script` is in Lua.

    RuntimeError if any answer was not 200.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", file.name, url]
        argv = ["taskset", "-c", str(OTHER_CORE), *load]
        output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    total = re.search(r"(\d+) requests in", output)
    if "Non-2xx" in output or "Socket errors" in output or rate is None or total is None:
        raise RuntimeError(f"not every answer was 200:\n{output}")
    return float(rate[1]), int(total[1])
