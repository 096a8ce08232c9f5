"""What the engines themselves say to the configuration that docker-compose.yml gives them.

ClickHouse's file is merged and read by chDB, which is that engine; Kafka's variables start a real broker from its
jars, whose answers the worker's health check is then asked about.
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.kafka import jars
from deploy.kafka.broker import free_ports, wait_until_ready
from operations.topics import create_topics
from schemas.topics import FEEDBACK_EVENTS
from tests.unit.deploy.test_compose import ROOT, services

XML = ROOT / "deploy/docker/clickhouse/feedback.xml"

# Prints the logs that the engine keeps, with their engine clause, as lines; its own log on stderr names all it has.
_ASK_ENGINE = """
import sys
from chdb import _chdb
engine = _chdb.connect(sys.argv[1])
engine.query("SYSTEM FLUSH LOGS", "TSV")
rows = "SELECT name, engine_full FROM system.tables WHERE database = 'system' AND engine = 'MergeTree'"
sys.stdout.write(engine.query(rows, "TSVRaw").bytes().decode())
engine.close()
"""


def kept_and_known_logs(folder: Path, switched_on: set[str]) -> tuple[dict[str, str], set[str]]:
    """Which logs about itself ClickHouse keeps, by engine clause, and which it has, under the folder's config.d.

    `switched_on` is what its config.xml switches on, as the image's own does with many.
    """
    sections = (f"<{name}><database>system</database><table>{name}</table></{name}>" for name in switched_on)
    logger = "<logger><console>1</console></logger>"
    (folder / "config.xml").write_text(f"<clickhouse>{logger}{''.join(sections)}</clickhouse>")
    asked = f"{folder / 'data'}?config-file={folder / 'config.xml'}"
    run = subprocess.run([sys.executable, "-c", _ASK_ENGINE, asked], capture_output=True, text=True, check=True)
    known = set(re.findall(r"SystemLog: (?:Not c|C)reating system\.(\w+) ", run.stderr))
    return dict(line.split("\t", 1) for line in run.stdout.splitlines()), known


def test_clickhouse_keeps_each_log_about_itself_for_a_week_or_not_at_all(tmp_path: Path) -> None:
    plain, merged = tmp_path / "plain", tmp_path / "merged"
    plain.mkdir()
    (merged / "config.d").mkdir(parents=True)
    kept, known = kept_and_known_logs(plain, {"query_log"})
    assert set(kept) == {"query_log"}
    assert "TTL" not in kept["query_log"]
    named = {section.tag: section for section in ET.parse(XML).getroot() if section.tag in known}
    assert set(named) == known

    shutil.copy(XML, merged / "config.d")
    kept, _ = kept_and_known_logs(merged, known)
    assert set(kept) == {name for name, section in named.items() if section.get("remove") is None}
    assert {name for name, clause in kept.items() if "TTL event_date + toIntervalDay(7)" not in clause} == set()


runnable = shutil.which("java") is not None and shutil.which("mvn") is not None
needs_kafka = pytest.mark.skipif(
    not runnable and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1", reason="needs java and mvn on the PATH"
)


def java(main: str, *arguments: str, output: Path) -> subprocess.Popen[bytes]:
    command = ["java", "-Xmx256m", f"-Dlog4j2.configurationFile={ROOT / 'deploy/kafka/log4j2.properties'}"]
    with output.open("ab") as log:
        return subprocess.Popen([*command, "-cp", f"{jars.LIBS}/*", main, *arguments], stdout=log, stderr=log)


def is_property(variable: str) -> bool:
    """Whether Kafka's image makes the variable a broker property; the others are for its scripts."""
    return variable.startswith("KAFKA_") and variable != "KAFKA_HEAP_OPTS"


def property_name(variable: str) -> str:
    return variable.removeprefix("KAFKA_").replace("_", ".").lower()


@pytest.fixture(scope="module")
def composed_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with the variables of the service `kafka`, made properties as its image does; its inner address.

    Only what belongs to the container is another: host name, ports, folder.
    """
    jars.ensure_jars()
    folder = tmp_path_factory.mktemp("composed-kafka")
    inside, outside, controller = free_ports(3)
    environment = services()["kafka"]["environment"]
    text = "".join(f"{property_name(name)}={value}\n" for name, value in environment.items() if is_property(name))
    for theirs, mine in {
        "//:": "//127.0.0.1:",
        "kafka:19092": "127.0.0.1:19092",
        ":19092": f":{inside}",
        ":9092": f":{outside}",
        ":9093": f":{controller}",
        "/var/lib/kafka/data": str(folder / "data"),
    }.items():
        assert theirs in text
        text = text.replace(theirs, mine)
    properties = folder / "server.properties"
    properties.write_text(text)
    log = folder / "log"
    tool = ("format", f"--cluster-id={environment['CLUSTER_ID']}", "-c", str(properties))
    assert java("kafka.tools.StorageTool", *tool, output=log).wait(60) == 0, log.read_text()
    broker = java("kafka.Kafka", str(properties), output=log)
    try:
        yield f"127.0.0.1:{inside}"
    finally:
        broker.terminate()
        broker.wait(30)


@needs_kafka
@pytest.mark.kafka
async def test_the_settings_of_the_kafka_service_make_a_broker_that_takes_our_topics(composed_kafka: str) -> None:
    await wait_until_ready(composed_kafka)
    assert FEEDBACK_EVENTS in await create_topics(composed_kafka, partitions=2)


@needs_kafka
@pytest.mark.kafka
async def test_each_variable_of_the_kafka_service_is_a_setting_that_kafka_has(composed_kafka: str) -> None:
    await wait_until_ready(composed_kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=composed_kafka)
    await admin.start()
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, "1")])
    await admin.close()
    (broker,) = answer.to_object()["resources"]
    told = {each["config_names"]: each["config_value"] for each in broker["config_entries"]}
    given = {property_name(name) for name in services()["kafka"]["environment"] if is_property(name)}
    # Kafka lists a name that it does not know as well, and hides its value, which might be a secret.
    assert {name for name in given if told[name] is None} == set()


@needs_kafka
@pytest.mark.kafka
async def test_a_worker_is_healthy_exactly_while_kafka_counts_it_as_a_member(composed_kafka: str) -> None:
    await wait_until_ready(composed_kafka)
    await create_topics(composed_kafka, partitions=2)
    test = services()["worker"]["healthcheck"]["test"]
    assert test[:2] == ["CMD", "python"]
    command = [sys.executable, *test[2:]]

    def health(bootstrap: str = composed_kafka) -> tuple[int, str]:
        environment = os.environ | {"FEEDBACK_KAFKA_BOOTSTRAP": bootstrap, "FEEDBACK_CONSUMER_GROUP": "watched"}
        run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert run.stderr == ""
        return run.returncode, run.stdout

    worker = AIOKafkaConsumer(FEEDBACK_EVENTS, bootstrap_servers=composed_kafka, group_id="watched")
    await worker.start()
    assert health() == (0, "member\n")
    await worker.stop()
    assert health() == (1, "no member of watched speaks from here\n")
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    code, told = health(nobody)
    assert code == 1
    assert told.startswith(f"Kafka at {nobody} cannot be asked: ")
