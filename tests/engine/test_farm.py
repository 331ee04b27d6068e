"""The fleet is what its traits say: proved with `openssl s_client` and sockets, never with our engine."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glovebox.errors import ConfigurationError, InputError
from glovebox.farm.model import Trait
from glovebox.farm.running import Farm, running_farm
from glovebox.farm.traits import TRAITS, suites
from glovebox.siteaudit.failures import kind_of
from tests.openssl_client import VERSIONS, accepted_suites, iana_names

pytestmark = pytest.mark.engine

_MEASURED = [trait for trait in suites.TRAITS if trait.expects.suites is not None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farm")


@pytest.fixture(scope="module")
def farm(folder: Path) -> Iterator[Farm]:
    with running_farm(folder) as running:
        yield running


def test_every_trait_has_a_name_of_its_own_and_runs(farm: Farm) -> None:
    hosts = [trait.host for trait in TRAITS]
    assert len(set(hosts)) == len(hosts) >= 35
    assert set(farm.hosts) == {host for host in hosts if host != "ipv6-only.fleet.test" or socket.has_ipv6}
    assert set(farm.traits) == set(farm.hosts)


def test_every_expected_failure_is_a_class_that_exists() -> None:
    for trait in TRAITS:
        for failure in {trait.expects.failure, *trait.expects.also, *(trait.expects.reasons or ())} - {None}:
            assert kind_of(str(failure))


def test_nothing_listens_outside_loopback(farm: Farm) -> None:
    ports = {farm.settings.http_port, farm.settings.https_port}
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.append(address)
    assert len(listening) > 150
    loopback = re.compile(r"[0-9A-F]{6}7F|0{24}01000000")
    assert [address for address in listening if not loopback.fullmatch(address)] == []


@pytest.mark.openssl
@pytest.mark.parametrize("trait", _MEASURED, ids=lambda trait: str(trait.name))
def test_versions_and_suites_are_as_written(trait: Trait, farm: Farm, folder: Path) -> None:
    """OpenSSL asks with all suites, takes away the one chosen, and asks again until it is refused."""
    known = set(iana_names(folder).values())
    expected = {
        version: set(names) & known
        for version, names in (trait.expects.suites or {}).items()
        if version in VERSIONS and set(names) & known
    }
    endpoint = f"{farm.addresses[trait.host]}:{farm.settings.https_port}"
    found = {version: accepted_suites(endpoint, trait.host, version, folder) for version in VERSIONS}
    assert {version: names for version, names in found.items() if names} == expected


@pytest.mark.openssl
def test_a_careless_server_accepts_old_versions_and_weak_suites(farm: Farm, folder: Path) -> None:
    host = "every-suite.fleet.test"
    endpoint = f"{farm.addresses[host]}:{farm.settings.https_port}"
    assert "TLS_RSA_WITH_AES_256_CBC_SHA" in accepted_suites(endpoint, host, "TLSv1.0", folder)


# ---------------------------------------------------------------- rude hosts


def _connected(farm: Farm, name: str) -> socket.socket:
    return socket.create_connection((farm.addresses[f"{name}.fleet.test"], farm.settings.https_port), 5)


def test_a_refused_handshake_ends_with_its_alert(farm: Farm) -> None:
    context = ssl.create_default_context()
    with _connected(farm, "alert") as raw, pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        context.wrap_socket(raw, server_hostname="alert.fleet.test")
    with (
        _connected(farm, "needs-name") as raw,
        pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"),
    ):
        context.wrap_socket(raw, server_hostname="elsewhere.fleet.test")


@pytest.mark.parametrize("name", ["reset-on-hello", "reset-on-accept", "reset-in-handshake"])
def test_resets_are_resets(farm: Farm, name: str) -> None:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=f"{name}.fleet.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()

    def answers() -> Iterator[bytes]:
        with _connected(farm, name) as raw:
            raw.sendall(outgoing.read())
            while data := raw.recv(4_096):
                yield data

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        b"".join(answers())


def test_the_unanswered_port_neither_accepts_nor_refuses(farm: Farm) -> None:
    address = (farm.addresses["unanswered.fleet.test"], farm.settings.http_port)
    with pytest.raises(TimeoutError):
        socket.create_connection(address, 1.2)


def test_a_good_site_is_trusted_by_the_root_that_the_settings_carry(farm: Farm) -> None:
    context = ssl.create_default_context(cadata=farm.settings.extra_roots)
    with (
        _connected(farm, "good") as raw,
        context.wrap_socket(raw, server_hostname="good.fleet.test") as session,
    ):
        session.sendall(b"GET / HTTP/1.1\r\nHost: good.fleet.test\r\n\r\n")
        answer = b"".join(iter(lambda: session.recv(4_096), b""))
    assert b"<title>Town of Marlow Bridge</title>" in answer


# ---------------------------------------------------------------- its life


def test_some_traits_alone() -> None:
    with running_farm(only=["good", "expired"]) as farm:
        assert set(farm.hosts) == {"good.fleet.test", "expired.fleet.test"}


def test_two_fleets_at_once_have_ports_of_their_own(farm: Farm) -> None:
    with running_farm(only=["good"]) as other:
        assert other.settings.https_port != farm.settings.https_port


def test_an_unknown_trait_is_named() -> None:
    with pytest.raises(InputError, match="no-such-trait"), running_farm(only=["no-such-trait"]):
        pytest.fail("started")


def test_a_fleet_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "good.fleet.test.pem").mkdir()
    with (
        pytest.raises(ConfigurationError, match=r"good\.fleet\.test\.pem"),
        running_farm(tmp_path, only=["good"]),
    ):
        pytest.fail("started")


def test_the_fleet_ends_when_its_parent_is_killed() -> None:
    program = (
        "import time\nfrom glovebox.farm.running import running_farm\n"
        "with running_farm(only=['good']) as farm:\n"
        "    print(farm.settings.https_port, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        socket.create_connection(("127.77.1.1", port), 5).close()
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(100):
        try:
            socket.create_connection(("127.77.1.1", port), 5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.1)
    pytest.fail("the fleet outlived its parent")


def test_a_server_that_hangs_does_not_outlive_its_parent() -> None:
    program = (
        "import asyncio, time\nfrom glovebox.farm.serve import end_of_input\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(time.sleep, 600)\n"
        "    await end_of_input()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 1


def test_the_command_prints_what_it_serves_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "glovebox.farm", "good", "refused"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert '"hosts":["good.fleet.test","refused.fleet.test"]' in process.stdout.readline()
        process.terminate()
        assert process.wait(20) == 0
