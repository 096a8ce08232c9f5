"""Makes the archive of classes from which Apache Kafka starts in tests: `python -m tests.pipeline.kafka_classes FILE`.

With it, formatting a folder and starting a broker takes half of the CPU. Without Java and Maven the file is empty.
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.kafka.broker import KafkaBroker, free_ports, prepare

ARCHIVE = Path(__file__).parents[2] / ".venv" / "kafka.jsa"

# Brokers live for minutes in tests: what Java's second compiler would gain is less than it costs. An archive can be
# read with the collector with which it was made alone.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def java_options() -> str:
    """What JAVA_TOOL_OPTIONS is in tests. Programs that are not Kafka say nothing of classes that they do not find."""
    if not ARCHIVE.exists() or not ARCHIVE.stat().st_size:
        return _JAVA
    return f"{_JAVA} -XX:SharedArchiveFile={ARCHIVE} -Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"


def main(archive: Path) -> None:
    """Make the archive by a broker that starts and stops."""
    if not shutil.which("java") or not shutil.which("mvn"):
        archive.touch()
        return
    with TemporaryDirectory() as folder:
        broker = KafkaBroker(Path(folder) / "kafka", *free_ports(2), deadline=180)
        os.environ["JAVA_TOOL_OPTIONS"] = _JAVA
        prepare(broker.data_dir, broker.port, broker.controller_port)
        os.environ["JAVA_TOOL_OPTIONS"] = f"{_JAVA} -XX:ArchiveClassesAtExit={archive.absolute()}"
        broker.start()
        broker.stop(180)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
