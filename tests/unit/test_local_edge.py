"""The edge when there is nobody behind it, and when too much comes in front of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from glovebox.errors import ConfigurationError
from glovebox.farm.authority import Authority, pem_of
from glovebox.local.aws import ACCOUNT, Credentials, LocalAws
from glovebox.local.edge import MAX_BODY, running_edge
from glovebox.local.server import free_port

TIMEOUT = 20.0


@pytest.fixture
def nobody(tmp_path: Path) -> LocalAws:
    """A cloud that does not answer."""
    authority = tmp_path / "authority.pem"
    authority.write_bytes(pem_of([Authority.create().certificate]))
    return LocalAws(f"https://127.0.0.1:{free_port()}", authority, Credentials(ACCOUNT, "secret"))


@pytest.fixture
def address(nobody: LocalAws) -> Iterator[str]:
    with running_edge(nobody, "d1.cloudfront.net", None) as address:
        yield address


def test_a_cloud_that_does_not_answer_is_a_bad_gateway(address: str) -> None:
    assert requests.get(f"{address}/", timeout=TIMEOUT).status_code == 502


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "-1", "many", "٤"])
def test_a_body_of_no_use_is_not_read(address: str, length: str) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as client:
        client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert client.recv(1_024).startswith(b"HTTP/1.1 413 ")


def test_a_port_that_is_taken_is_told(nobody: LocalAws, address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"Port {port}"), running_edge(nobody, "d", port):
        pass
