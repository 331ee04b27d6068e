"""The real gateway image beside a name server and an origin, on loopback addresses of this test process."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.farm.dns import Answer, NameServer
from glovebox.local.engines import image_name
from glovebox.tickets.claims import AwsApiClaims, SiteClaims, to_base64url
from glovebox.tickets.keys import KeySet
from glovebox.tickets.proxy import ProxyTicket, proxy_authorization
from glovebox.tickets.signer import Signer
from squid.authority import mint
from squid.hosts import LISTS, bucket_regions, hosts_of
from squid.settings import GatewaySettings
from tests.perimeter.sigv4_origin import Origin, serving_origin

ROOT = Path(__file__).resolve().parents[2]
LIST = LISTS / "prowler-eu-west-1+us-east-1.txt"
HOSTS = hosts_of(LIST)
MOUNT = "/glovebox/gateway"
PROXY_UID = 13
BUILD_SECONDS = 900
START_SECONDS = 30
LEDGER_SECONDS = 10
LISTENING = "Accepting HTTP Socket connections"
"""Squid's last words before it serves."""

KEY_ID, SECRET = "ASIAQWERTYUIOPASDFGH", "the-scans-secret"
FOREIGN_KEY_ID, FOREIGN_SECRET = "ASIAZXCVBNMLKJHGFDSA", "the-attackers-secret"
ACCOUNT = "123456789012"
BUCKET = "audited-bucket"
SCAN = "scan-under-test"

LIMITS = (
    "--rm", "--pull=never", "--network=host", "--read-only", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--memory=512m", "--pids-limit=64",
    "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
)  # fmt: skip


def build_image() -> None:
    """Brings the base and builds the image anew where its sources changed."""
    for command in (
        [str(ROOT / "tools/base-image")],
        [sys.executable, str(ROOT / "tools/build-images"), "squid"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]


# ---------------------------------------------------------------- names


class Names(NameServer):
    """AWS's names lead to the origin; what was asked is kept."""

    def __init__(self, zone: dict[str, Answer], default: Answer) -> None:
        super().__init__(zone)
        self.asked: list[str] = []
        self.default = default
        """Of every name of AWS that the zone does not have."""

    def answer(self, name: str) -> Answer:
        self.asked.append(name)
        known = super().answer(name)
        return self.default if not known.addresses and name.endswith(".amazonaws.com") else known


@contextmanager
def serving(names: Names, address: str) -> Iterator[None]:
    """`names` on port 53, where Squid asks; UDP alone, since no answer of ours is long."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def loop() -> None:
            while True:
                message, asker = server.recvfrom(4_096)
                if message == b"end":
                    return
                if (reply := names.reply(message)) is not None:
                    server.sendto(reply, asker)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", (address, 53))
            thread.join()


# ---------------------------------------------------------------- the network


_NETS = itertools.count(os.getpid() // 190 * 16)


@dataclass(frozen=True)
class Places:
    """Addresses of one gateway: a /24 of loopback that no other test takes."""

    net: str = field(default_factory=lambda: f"127.{64 + os.getpid() % 190}.{next(_NETS) % 254 + 1}")

    gateway = property(lambda self: f"{self.net}.1")
    scanner = property(lambda self: f"{self.net}.2")
    outsider = property(lambda self: f"{self.net}.130")
    names = property(lambda self: f"{self.net}.53")
    origin = property(lambda self: f"{self.net}.100")
    evil = property(lambda self: f"{self.net}.101")
    private = property(lambda self: f"{self.net}.230")


@dataclass
class Gateway:
    """The running gateway, and what a client needs to use it."""

    places: Places
    folder: Path
    process: subprocess.Popen[bytes]
    settings: GatewaySettings
    key: Ed25519PrivateKey
    origin: Origin
    names: Names

    @property
    def signer(self) -> Signer:
        return Signer(self.key)

    def forced(self, claims: AwsApiClaims) -> ProxyTicket:
        """A ticket with the right signature under claims that the broker's signer would refuse."""
        named = msgspec.structs.replace(claims, kid=self.signer.kid)
        user = to_base64url(msgspec.json.encode(named))
        return ProxyTicket(user, to_base64url(self.key.sign(user.encode())))

    @property
    def authority(self) -> str:
        return str(self.folder / "authority.pem")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def proxy(self, ticket: ProxyTicket, port: int = 3128) -> str:
        return ticket.url(f"{self.places.gateway}:{port}")

    def ledger(self) -> list[dict[str, Any]]:
        """All lines so far but the program's own.  Raises for a line that is not JSON: there must be none."""
        lines = (self.folder / "stdout").read_bytes().split(b"\n")[:-1]
        return [line for line in map(json.loads, lines) if "level" not in line]

    def words(self) -> str:
        """What Squid and its helpers said on standard error."""
        return (self.folder / "stderr").read_text(errors="replace")

    def lines_since(self, mark: int, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The ledger's lines after the first `mark`, waiting a little until one is wanted."""
        deadline = time.monotonic() + LEDGER_SECONDS
        while True:
            lines = self.ledger()[mark:]
            if any(map(wanted, lines)) or time.monotonic() > deadline:
                return lines
            time.sleep(0.01)

    def write(self, settings: GatewaySettings) -> None:
        write_settings(self.folder, settings)

    def reload(self, settings: GatewaySettings) -> str:
        """Writes other settings, asks for a reload and gives what the program said of it."""
        self.write(settings)
        return self.hang_up()

    def settle(self) -> None:
        """Back to the settings of the start."""
        assert "configuration reloaded" in self.reload(self.settings)

    def hang_up(self) -> str:
        """SIGHUP, and what the program said of it."""
        path = self.folder / "stdout"
        before, listened = path.stat().st_size, self.words().count(LISTENING)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in path.read_bytes()[before:].decode().splitlines(keepends=True):
                if '"configuration refused' in line and line.endswith("\n"):
                    return line
                # Squid closes its listeners and opens them anew.
                if '"configuration reloaded' in line and self.words().count(LISTENING) > listened:
                    return line
            time.sleep(0.02)
        raise AssertionError("the gateway said nothing of the reload")


def aws_claims(**changes: Any) -> AwsApiClaims:
    now = int(time.time())
    claims = AwsApiClaims(
        scan=SCAN, iat=now, nbf=now, exp=now + 900, key=KEY_ID, account=ACCOUNT, buckets=[BUCKET]
    )
    return msgspec.structs.replace(claims, **changes)


def site_claims(addresses: Sequence[str], **changes: Any) -> SiteClaims:
    now = int(time.time())
    claims = SiteClaims(
        scan=SCAN,
        iat=now,
        nbf=now,
        exp=now + 900,
        host="www.site.test",
        addresses=list(addresses),
        ports=[443],
    )
    return msgspec.structs.replace(claims, **changes)


def write_settings(folder: Path, settings: GatewaySettings) -> None:
    """Without the paths of this checkout: in the image the gateway's own lie elsewhere."""
    fields = msgspec.to_builtins(settings)
    own = {name: value for name, value in fields.items() if not str(value).startswith(str(ROOT))}
    fresh = folder / "settings.new"
    fresh.write_bytes(msgspec.json.encode(own))
    fresh.chmod(0o644)
    fresh.replace(folder / "settings.json")


def _write_files(folder: Path, signer: Signer) -> None:
    now = datetime.now(UTC)
    ours, amazons = mint(HOSTS, now), mint([*HOSTS, "x.ec2.us-east-1.amazonaws.com"], now)
    (folder / "authority.pem").write_bytes(ours.authority)
    (folder / "leaf.pem").write_bytes(ours.leaf)
    (folder / "leaf.key").write_bytes(ours.key)
    (folder / "upstream.pem").write_bytes(amazons.authority)
    (folder / "origin.pem").write_bytes(amazons.leaf)
    (folder / "origin.key").write_bytes(amazons.key)
    (folder / "keys.pem").write_bytes(KeySet.of([signer.public_key]).pem())
    shutil.copyfile(LIST, folder / "allow-list.txt")
    (folder / "leaf.key").chmod(0o400)
    os.chown(folder / "leaf.key", PROXY_UID, PROXY_UID)


def settings_for(places: Places, **changes: Any) -> GatewaySettings:
    """Loopback stands for the world, its last 32 addresses for what is private."""
    settings = GatewaySettings(
        scan_subnets=(f"{places.net}.0/25", "127.0.0.1/32"),
        listen=places.gateway,
        allow_list=f"{MOUNT}/allow-list.txt",
        bucket_regions=bucket_regions(HOSTS),
        region="us-east-1",
        public_keys=f"{MOUNT}/keys.pem",
        certificate=f"{MOUNT}/leaf.pem",
        certificate_key=f"{MOUNT}/leaf.key",
        upstream_authorities=f"{MOUNT}/upstream.pem",
        name_servers=(places.names,),
        private_destinations=(f"{places.net}.224/27", "169.254.0.0/16", "10.0.0.0/8", "::1/128"),
        stop_seconds=1,
    )
    return replace(settings, **changes)


@contextmanager
def running_gateway(*options: str, **changes: Any) -> Iterator[Gateway]:
    """The gateway and what it needs, while the block runs; `options` are Podman's."""
    places, key = Places(), Ed25519PrivateKey.generate()
    folder = Path(tempfile.mkdtemp(prefix="glovebox-gateway-"))
    try:
        folder.chmod(0o755)
        _write_files(folder, Signer(key))
        settings = settings_for(places, **changes)
        write_settings(folder, settings)
        names = Names(_zone(places), Answer(addresses=(places.origin,)))
        secrets = {KEY_ID: SECRET, FOREIGN_KEY_ID: FOREIGN_SECRET}
        with (
            serving(names, places.names),
            serving_origin(places.origin, folder / "origin.pem", folder / "origin.key", secrets) as origin,
            started(folder, *options) as process,
        ):
            gateway = Gateway(places, folder, process, settings, key, origin, names)
            _wait_until_up(gateway)
            yield gateway
    finally:
        shutil.rmtree(folder)


def _zone(places: Places) -> dict[str, Answer]:
    """Good names lead to the origin by default; these lead elsewhere."""

    def reverse(address: str) -> str:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa"

    return {
        # Allowed names that a resolver under attack, or a rebinding one, sends inside.
        "kms.us-east-1.amazonaws.com": Answer(addresses=(places.private,)),
        "kms.eu-west-1.amazonaws.com": Answer(addresses=("169.254.169.254",)),
        # An address of the attacker's whose PTR is an allowed name.
        reverse(places.evil): Answer(pointer="iam.amazonaws.com"),
        "evil.test": Answer(addresses=(places.evil,)),
    }


@contextmanager
def started(folder: Path, *options: str, arguments: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """The image under a task's limits, with `folder` as its settings; ended when the block ends."""
    command = [
        "podman",
        "run",
        *LIMITS,
        f"--volume={folder}:{MOUNT}:ro",
        *options,
        image_name("squid"),
        *arguments,
    ]
    with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
        # Podman leaves a note called `oom` where it stands when a container is killed.
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=tempfile.gettempdir())
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(gateway: Gateway) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gateway.alive:
        try:
            socket.create_connection((gateway.places.gateway, 3129), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            # That connection has a line as well, which must not come between those of a test.
            gateway.lines_since(0, lambda line: bool(line["listener"] == "3129"))
            return
    said = (gateway.folder / "stdout").read_text()
    raise AssertionError(f"the gateway did not start: {said[-3_000:]} {gateway.words()[-3_000:]}")


# ---------------------------------------------------------------- a client that says what it is told to


@dataclass
class Tunnel:
    """An answered CONNECT: its status, and the connection behind it."""

    status: int
    head: bytes
    connection: socket.socket


def head_of(connection: socket.socket) -> bytes:
    """What comes until a blank line or the end."""
    data = b""
    try:
        while b"\r\n\r\n" not in data and (more := connection.recv(65_536)):
            data += more
    except OSError:
        pass  # a reset is an end as well
    return data


def status_of(head: bytes) -> int:
    """0 where nothing, or nothing of HTTP, came."""
    words = head.split(b" ", 2)
    return int(words[1]) if words[0].startswith(b"HTTP/") and len(words) > 1 and words[1].isdigit() else 0


def ask(
    gateway: Gateway, request: bytes, *, port: int = 3128, source: str = "", patience: float = 10
) -> Tunnel:
    """Sends `request` as it is; the caller closes the connection."""
    where = (gateway.places.gateway, port)
    connection = socket.create_connection(
        where, patience, source_address=(source or gateway.places.scanner, 0)
    )
    with contextlib.suppress(OSError):  # refused before all was said
        connection.sendall(request)
    head = head_of(connection)
    return Tunnel(status_of(head), head, connection)


def connect_request(authority: str, ticket: ProxyTicket | None, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"CONNECT {authority} HTTP/{version}", f"Host: {authority}"]
    if ticket is not None:
        lines.append(f"Proxy-Authorization: {proxy_authorization(ticket)}")
    return "\r\n".join([*lines, *headers, "", ""]).encode()
