"""`python -m deploy.docker.worker_health [rollup]`: checks that a worker in this container is in its consumer group.

It is the health check of the containers of workers and rollups, whose HTTP port may be off. A worker sends heartbeats
from the event loop that does its work. If that hangs, Kafka removes the worker from the group after its session
timeout, and this check fails.
"""

import asyncio
import logging
import socket
import sys

from aiokafka.errors import KafkaError

from runtime.kafka_admin import group_members, kafka_admin
from stream_workers.settings import RollupSettings, WorkerSettings


async def is_member(bootstrap: str, group: str) -> bool:
    """Whether the group has a member with the address of this process. KafkaError, OSError."""
    own = _own_address(bootstrap)
    async with kafka_admin(bootstrap, timeout_ms=5_000) as admin:
        members = await group_members(admin, group)
    return own in {member["client_host"].removeprefix("/") for member in members}


def _own_address(bootstrap: str) -> str:
    host, _, port = bootstrap.split(",")[0].strip().rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=3) as connection:
        return str(connection.getsockname()[0])


def main() -> int:
    logging.disable()  # `docker inspect` should show only the reason below
    bootstrap = WorkerSettings().kafka_bootstrap
    group = RollupSettings().rollup_group if sys.argv[1:] == ["rollup"] else WorkerSettings().consumer_group
    try:
        member = asyncio.run(is_member(bootstrap, group))
    except (KafkaError, OSError) as error:
        print(f"Kafka at {bootstrap} cannot be asked: {error}")
        return 1
    print("member" if member else f"no member of {group} speaks from here")
    return 0 if member else 1


if __name__ == "__main__":
    sys.exit(main())
