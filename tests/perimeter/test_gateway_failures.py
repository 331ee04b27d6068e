"""What breaks: helpers that die, lie or say nothing, and configurations that are none.  Nothing opens."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from squid.settings import GatewaySettings
from tests.perimeter.attacks import GOOD_URL, IAM, S3
from tests.perimeter.gateway import (
    LIMITS,
    MOUNT,
    Gateway,
    ask,
    aws_claims,
    connect_request,
    head_of,
    running_gateway,
    site_claims,
    started,
    status_of,
)
from tests.perimeter.signing import exchange, signed

pytestmark = pytest.mark.squid

PATIENCE = 3.0
"""Seconds that a client of a silent helper waits."""
RELOAD_SECONDS = 10

HELPER = """
import sys
for line in sys.stdin:
    channel = line.split(" ", 1)[0]
    word = sys.argv[1]
    if word == "dies":
        sys.exit(1)
    if word == "lies":
        lies = ["OK", "OK OK OK", "\\xff\\x00", channel + " YES", "99999 OK"]
        print(lies[int(channel) % 5], flush=True)
    if word == "long":
        print(channel + " ERR message=" + "a" * 100_000, flush=True)
"""


@contextlib.contextmanager
def with_helper(tmp_path: Path, which: str, word: str) -> Iterator[Gateway]:
    helper = tmp_path / "helper.py"
    helper.write_text(HELPER)
    helper.chmod(0o644)
    command = ("/usr/bin/python3", "/helper.py", word)
    options = (f"--volume={helper}:/helper.py:ro",)
    with running_gateway(*options, **{which: command}) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("which", "word"),
    [
        ("judge_command", "dies"),
        ("judge_command", "lies"),
        ("judge_command", "is silent"),
        ("judge_command", "long"),
        ("verify_command", "dies"),
        ("verify_command", "lies"),
    ],
)
def test_a_broken_helper_opens_nothing(gateway_image: None, tmp_path: Path, which: str, word: str) -> None:
    with with_helper(tmp_path, which, word.split()[-1]) as gateway:
        aws, site = (
            gateway.signer.sign(aws_claims()),
            gateway.signer.sign(site_claims([gateway.places.origin])),
        )
        for _ in range(5):
            for authority, ticket, port in (
                (f"{IAM}:443", aws, 3128),
                (f"{gateway.places.origin}:443", site, 3129),
            ):
                with contextlib.suppress(ConnectionRefusedError):
                    tunnel = ask(gateway, connect_request(authority, ticket), port=port, patience=PATIENCE)
                    tunnel.connection.close()
                    assert tunnel.status != 200
            if word == "is silent":
                break
        assert gateway.origin.connections == 0
        if not gateway.alive:
            assert gateway.process.returncode != 0


def _broken(name: str, settings: GatewaySettings) -> GatewaySettings:
    return replace(settings, **{name: f"{MOUNT}/broken"})


BROKEN: dict[str, tuple[str, str]] = {
    "no list": ("allow_list", ""),
    "a list with a pattern": ("allow_list", ".amazonaws.com\n"),
    "a list of another domain": ("allow_list", "evil.test\n"),
    "tripwires that are no expressions": ("tripwires", "(\n"),
    "no tripwires": ("tripwires", "# nothing\n"),
    "no certificate": ("certificate", "nothing\n"),
    "no key": ("certificate_key", "nothing\n"),
    "no authorities": ("upstream_authorities", "nothing\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_never_replaces_a_good_one(gateway: Gateway, name: str) -> None:
    setting, content = BROKEN[name]
    (gateway.folder / "broken").write_text(content)
    try:
        assert "configuration refused" in gateway.reload(_broken(setting, gateway.settings))
        assert exchange(gateway, S3, signed("GET", GOOD_URL))[0] == 200
        tunnel = ask(gateway, connect_request("evil.test:443", gateway.signer.sign(aws_claims())))
        tunnel.connection.close()
        assert tunnel.status == 407
    finally:
        gateway.settle()


def test_settings_that_would_mean_something_else_are_refused(gateway: Gateway) -> None:
    try:
        (gateway.folder / "settings.json").write_text('{"scan_subnets": ["0.0.0.0/0"]}')
        assert "configuration refused" in gateway.hang_up()
        assert exchange(gateway, S3, signed("GET", GOOD_URL))[0] == 200
    finally:
        gateway.settle()


def test_a_good_configuration_is_taken_over_and_tunnels_stay(gateway: Gateway) -> None:
    ticket = gateway.signer.sign(aws_claims())
    tunnel = ask(gateway, connect_request(f"{S3}:443", ticket))
    context = ssl.create_default_context(cafile=gateway.authority)
    with context.wrap_socket(tunnel.connection, server_hostname=S3) as connection:
        connection.sendall(signed("GET", GOOD_URL))
        assert status_of(head_of(connection)) == 200
        shorter = [
            line for line in (gateway.folder / "allow-list.txt").read_text().split("\n") if line != IAM
        ]
        (gateway.folder / "shorter.txt").write_text("\n".join(shorter))
        try:
            said = gateway.reload(replace(gateway.settings, allow_list=f"{MOUNT}/shorter.txt"))
            assert "configuration reloaded" in said
            until(lambda: _status(gateway, IAM) == 407)
            assert _status(gateway, S3) == 200
            connection.recv(1 << 16)
            connection.sendall(signed("GET", GOOD_URL))
            assert status_of(head_of(connection)) == 200
        finally:
            gateway.settle()
    until(lambda: _status(gateway, IAM) == 200)


def _status(gateway: Gateway, host: str) -> int:
    """0 while nobody listens."""
    try:
        tunnel = ask(gateway, connect_request(f"{host}:443", gateway.signer.sign(aws_claims())))
    except ConnectionError:
        return 0
    tunnel.connection.close()
    return tunnel.status


def until(fits: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RELOAD_SECONDS
    while not fits():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_a_good_configuration_it_does_not_start(gateway_image: None, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "settings.json").write_text("{}")
    with started(tmp_path) as process:
        assert process.wait(30) == 1
    assert "gateway failed" in (tmp_path / "stdout").read_text()


def test_the_health_check_says_yes_to_a_gateway_that_refuses_and_no_to_none(gateway: Gateway) -> None:
    def healthy(folder: Path) -> int:
        command = [
            "podman",
            "run",
            *LIMITS,
            f"--volume={folder}:{MOUNT}:ro",
            "localhost/glovebox/squid:local",
            "health",
        ]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

    assert healthy(gateway.folder) == 0
    gateway.write(replace(gateway.settings, aws_port=3999))
    try:
        assert healthy(gateway.folder) == 1
    finally:
        gateway.write(gateway.settings)


def test_it_stops_gracefully_and_leaves_a_whole_ledger(gateway_image: None) -> None:
    with running_gateway() as gateway:
        assert exchange(gateway, S3, signed("GET", GOOD_URL))[0] == 200
        gateway.process.terminate()
        assert gateway.process.wait(30) == 0
        assert [line["reason"] for line in gateway.ledger()][-2:] == ["allowed", "allowed"]
        assert "FATAL" not in gateway.words()


def test_the_gateway_holds_no_authoritys_key_and_runs_without_rights(gateway: Gateway) -> None:
    keys = [path.name for path in gateway.folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(keys) == ["leaf.key", "origin.key"]
    inspected = subprocess.run(
        ["podman", "image", "inspect", "--format={{.User}}", "localhost/glovebox/squid:local"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert inspected.stdout.strip() == "13:13"
