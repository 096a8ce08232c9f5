"""Fetches the jars of Apache Kafka once with Maven, in the versions that pom.xml beside this file pins.

Promises that after `ensure_jars` the folder LIBS has exactly the jars of that pom, even if several processes call it at
once, and that a failure is one sentence. Maven's settings say from which repository it fetches.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
TARGET = POM.with_name("target")
LIBS = TARGET / "libs"
MINIMUM_JAVA = 17


class KafkaError(RuntimeError):
    """Kafka could not be fetched, started or reached. The message is for a person and says what to do."""


def java() -> str:
    """The path of `java`. KafkaError where there is none, or it is older than Java 17."""
    found = shutil.which("java")
    if found is None:
        raise KafkaError(f"No java on the PATH: install Java {MINIMUM_JAVA} or newer to run Apache Kafka.")
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if version is None:
        raise KafkaError(f"{found} -version did not name a version: install Java {MINIMUM_JAVA} or newer.")
    if int(version[1]) < MINIMUM_JAVA:
        raise KafkaError(f"{found} is Java {version[1]}: Apache Kafka needs Java {MINIMUM_JAVA} or newer.")
    return found


def ensure_jars() -> None:
    """Fill LIBS by Maven unless that was done for this pom before. KafkaError where Maven fails."""
    try:
        TARGET.mkdir(exist_ok=True)
    except OSError as error:
        raise KafkaError(f"Kafka's jars cannot be kept in {TARGET}: {error.strerror}.") from None
    stamp = TARGET / "libs.sha256"
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    with (TARGET / "libs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        # Kafka does not start with jars of two versions, so the folder is emptied first.
        stamp.unlink(missing_ok=True)
        shutil.rmtree(LIBS, ignore_errors=True)
        _run_maven()
        stamp.write_text(wanted)


def _run_maven() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaError("No mvn on the PATH: install Maven, which fetches Apache Kafka's jars the first time.")
    build = subprocess.run(
        [maven, "-B", "-q", "-Dstyle.color=never", "-f", str(POM), "package"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if build.returncode != 0:
        raise KafkaError(f"Maven could not fetch Apache Kafka's jars: {_maven_reason(build.stdout)}")


def _maven_reason(output: str) -> str:
    """The line of Maven's output that says what failed: the first error that is not a heading."""
    lines = [line for line in output.splitlines() if line.strip()]
    faults = [line.partition("] ")[2] for line in lines if line.startswith(("[ERROR] ", "[FATAL] "))]
    errors = [
        fault
        for fault in faults
        if fault.strip() and not fault.startswith((" ", "[", "Some problems were encountered"))
    ]
    return [*(fault.partition(" -> [Help ")[0] for fault in errors), *lines, "it printed nothing."][0]
