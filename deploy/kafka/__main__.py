"""`python -m deploy.kafka`: a one-node Apache Kafka in the foreground, until Ctrl-C or SIGTERM.

Prints `Kafka ready on 127.0.0.1:PORT` when clients can connect. Exits with 0 after a signal, and with 1 and one
sentence on stderr when Kafka could not start or ended by itself.
"""

import argparse
import signal
import sys
from pathlib import Path

from deploy.kafka.broker import KafkaBroker
from deploy.kafka.jars import KafkaError


def main() -> int:
    """Run a broker with these options; the exit code."""
    parser = argparse.ArgumentParser("python -m deploy.kafka", description="Run a one-node Apache Kafka on loopback.")
    parser.add_argument("--data-dir", type=Path, default=Path(".feedback/kafka"), help="default: %(default)s")
    parser.add_argument("--port", type=int, default=9092, help="0 picks a free one; default: %(default)s")
    parser.add_argument("--controller-port", type=int, default=0, help="0 picks a free one; default: %(default)s")
    parser.add_argument("--heap", default="512m", help="the JVM's upper limit; default: %(default)s")
    args = parser.parse_args()

    # SIGINT as well: a shell starts background processes with SIGINT ignored.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.default_int_handler)
    broker = KafkaBroker(args.data_dir, args.port, args.controller_port, heap=args.heap)
    try:
        broker.start()
        print(f"Kafka ready on {broker.bootstrap}", flush=True)
        broker.wait()
        print(broker.why_ended(), file=sys.stderr)
        return 1
    except KafkaError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        broker.stop()


if __name__ == "__main__":
    sys.exit(main())
