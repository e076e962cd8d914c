"""No connection is opened, whoever tries, and the host is known."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest

from supernet.inspection.network import ConnectionRefused, no_network


def test_every_way_to_connect_is_refused_and_named() -> None:
    with no_network() as hosts:
        with pytest.raises(ConnectionRefused, match=r"a connection to one\.example\.org was refused"):
            socket.getaddrinfo("one.example.org", 443)
        with socket.socket() as opened:
            with pytest.raises(ConnectionRefused):
                opened.connect(("192.0.2.1", 80))
            with pytest.raises(ConnectionRefused):
                opened.connect_ex(("192.0.2.2", 80))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises(urllib.error.URLError):
            opener.open("http://two.example.org/weights.bin", timeout=1)
    assert hosts == ["one.example.org", "192.0.2.1", "192.0.2.2", "two.example.org"]
    assert "connect" not in vars(socket.socket)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_processes_of_this_machine_may_be_talked_to(tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        with no_network() as hosts:
            client.connect(path)
    assert hosts == []
