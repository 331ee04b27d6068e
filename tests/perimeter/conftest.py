"""Labs for tests: the synthesized Perimeter stack, and what a process inside can reach; the gateway alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glovebox.lab.lab import Lab
from glovebox.lab.synthesis import perimeter
from glovebox.lab.template import Network
from tests.perimeter.gateway import Gateway, build_image, running_gateway
from tests.perimeter.inside import Inside, running_inside

Reach = Callable[[Lab, str, str, int], str]
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.3).close()
    print("open")
except TimeoutError:
    print("dropped")
except ConnectionRefusedError:
    print("reached")
"""


@pytest.fixture(scope="session")
def network() -> Network:
    return perimeter()


@pytest.fixture(scope="module")
def bare_lab(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Rules, name servers and the internet; no gateway, so that its ports are closed and not silent."""
    with Lab(network, tmp_path_factory.mktemp("lab"), kind="bare") as lab:
        yield lab


@pytest.fixture(scope="session")
def reach() -> Reach:
    """How a connection ends: `open`, `reached` (a closed port answered) or `dropped`."""

    def connect(lab: Lab, machine: str, address: str, port: int) -> str:
        command = lab.namespaces.inside(machine, [lab.python, "-I", "-c", _CONNECT, address, str(port)])
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path("/"))
        return done.stdout.strip()

    return connect


@pytest.fixture(scope="session")
def gateway_image() -> None:
    """The gateway's image, of this checkout."""
    build_image()


@pytest.fixture(scope="session")
def gateway(gateway_image: None) -> Iterator[Gateway]:
    """The real gateway on loopback, started once for the tests that only use it."""
    with running_gateway() as running:
        yield running


@pytest.fixture(scope="session")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """The local cloud, its tasks in boxes inside the perimeter."""
    with running_inside(tmp_path_factory.mktemp("inside")) as running:
        yield running
