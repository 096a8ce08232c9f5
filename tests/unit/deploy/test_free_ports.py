"""The ports that programs are given where none is set."""

import socket

import pytest

from deploy.kafka.broker import HOST, free_ports
from runtime.listen_addresses import cannot_listen


def test_a_chosen_port_is_kept_from_others_until_its_server_listens() -> None:
    (port,) = free_ports(1)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))
    assert not cannot_listen(HOST, port)
    with socket.create_server((HOST, port)), socket.create_connection((HOST, port), timeout=10):
        assert cannot_listen(HOST, port)
    assert not cannot_listen(HOST, port)
