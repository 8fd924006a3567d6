"""Ports are found taken before anything starts, and the option that changes them is named."""

from __future__ import annotations

import socket

import pytest
from parley_launcher.errors import Trouble
from parley_launcher.ports import Wanted, choose

LOOPBACK = "127.0.0.1"


def test_free_ports_are_all_different() -> None:
    wanted = [Wanted(LOOPBACK, 0, "--web-port")] * 20
    assert len(set(choose(*wanted))) == 20


def test_a_chosen_port_can_be_listened_on_at_once() -> None:
    (port,) = choose(Wanted(LOOPBACK, 0, "--web-port"))
    with socket.create_server((LOOPBACK, port)) as server:
        assert server.getsockname()[1] == port


def test_a_taken_port_is_named_with_its_option() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        sentence = rf"port {port} is taken.*--nats-port \(PARLEY_NATS_PORT\)"
        with pytest.raises(Trouble, match=sentence):
            choose(Wanted(LOOPBACK, 0, "--web-port"), Wanted(LOOPBACK, port, "--nats-port"))


def test_the_same_port_twice_is_found_out() -> None:
    (port,) = choose(Wanted(LOOPBACK, 0, "--web-port"))
    with pytest.raises(Trouble, match="is taken"):
        choose(Wanted(LOOPBACK, port, "--web-port"), Wanted(LOOPBACK, port, "--nats-port"))


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(Trouble, match=r"192\.0\.2\.1 is not an address of this machine.*--host"):
        choose(Wanted("192.0.2.1", 0, "--web-port"))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(Trouble, match="no such host is unknown here; change --host"):
        choose(Wanted("no such host", 0, "--web-port"))
