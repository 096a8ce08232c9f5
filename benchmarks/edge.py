"""How many feedbacks a second one edge process accepts: `python -m benchmarks.edge` (needs Debian's `wrk`).

Side by side in one run on one core, load and broker on the other: ours with one event a request and with 100; FastAPI
with a body model and `send_and_wait`; and the limit, bare ASGI on the same server.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from statistics import median

from benchmarks.engines import MEASURED_CORE, OTHER_CORE, answers, engines, process, until
from deploy.kafka.broker import free_ports

FEEDBACK = {"trace_id": "t", "value": 5, "weight": 0.5, "metadata": {"_user": "u", "text": "title was irrelevant"}}
SERVER = ["--log-level", "warning", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
CONNECTIONS = 64


def requests_per_second(url: str, body: object, seconds: int) -> float:
    """What wrk measures with 64 connections; RuntimeError if any answer was not 200."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n")
        script.write(f"wrk.body = [==[{json.dumps(body)}]==]\n")
        script.flush()
        argv = [
            "taskset",
            "-c",
            str(OTHER_CORE),
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            script.name,
            url,
        ]
        output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"not every answer was 200:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found, output
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: apt-get install wrk")
    ours_port, hello_port, plain_port = free_ports(3)
    uvicorn = [sys.executable, "-m", "uvicorn", *SERVER]
    ours, hello, plain = (f"http://127.0.0.1:{port}" for port in (ours_port, hello_port, plain_port))
    with engines() as found:
        environment = {**found.environment, "FEEDBACK_PORT": str(ours_port)}
        with (
            process([sys.executable, "-m", "ingest_api"], MEASURED_CORE, environment),
            process([*uvicorn, "benchmarks.edge_peers:hello", "--port", str(hello_port)], MEASURED_CORE),
            process(
                [*uvicorn, "benchmarks.edge_peers:plain_fastapi", "--port", str(plain_port)], MEASURED_CORE, environment
            ),
        ):
            until(lambda: answers(f"{ours}/readyz"), "our edge is ready", seconds=60)
            until(lambda: answers(hello), "hello is ready", seconds=60)
            until(lambda: answers(f"{plain}/docs"), "plain FastAPI is ready", seconds=60)
            cases = {
                "bare ASGI, the limit": (hello, FEEDBACK, 1),
                "FastAPI and send_and_wait": (f"{plain}/v1/feedback", FEEDBACK, 1),
                "ours, one a request": (f"{ours}/v1/feedback", FEEDBACK, 1),
                "ours, 100 a request": (f"{ours}/v1/feedback", [FEEDBACK] * 100, 100),
            }
            rounds = [
                {name: n * requests_per_second(url, body, options.seconds) for name, (url, body, n) in cases.items()}
                for _ in range(options.rounds)
            ]
    figures = {name: median(each[name] for each in rounds) for name in cases}
    for name, figure in figures.items():
        print(f"{name:28} {figure:10,.0f} events/s   {figure / figures['bare ASGI, the limit']:.2f} of the limit")


if __name__ == "__main__":
    main()
