"""The real gateway with nginx in AWS's place, a client that loads it, and what it costs in processor time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench import nginx
from bench.gateway_load import Job, Load, Mode, Way
from bench.measure import PATIENCE
from glovebox.errors import ConfigurationError
from glovebox.farm.dns import Answer
from glovebox.local import processes
from squid.helpers.request import ABSENT
from tests.perimeter.attacks import GOOD_URL, S3
from tests.perimeter.gateway import (
    Gateway,
    aws_claims,
    build_image,
    connect_request,
    running_gateway,
)
from tests.perimeter.signing import signed

CLIENTS: Final = 16
"""Connections at once: a scanner's workers."""
ANSWER: Final = 400
"""Bytes of a body, as of a bucket's policy status or a user."""
DECISIONS: Final = 20_000
PATIENCE_TO_START: Final = 10.0
_TICK: Final = os.sysconf("SC_CLK_TCK")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds.  Processor time is that of Squid with its helpers, a request."""

    kept_per_second: float
    kept_direct_per_second: float
    kept_cpu_us: float
    kept_helpers_cpu_us: float
    new_per_second: float
    new_direct_per_second: float
    new_cpu_us: float
    kept_added_ms: float
    """Median latency on a kept connection, less that of a direct one; the two in turn, by one client."""
    new_added_ms: float
    """The same with a new connection for each request."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A gateway that runs, and the two ways to the same server."""

    gateway: Gateway
    through: Way
    direct: Way
    process: int
    """Of whatever runs Squid."""


def why_not() -> str | None:
    """What this machine lacks, or `None`."""
    if os.geteuid() != 0:
        return "needs root: name server and origin stand on ports 53 and 443"
    if nginx.program() is None:
        return "nginx is not installed (Debian: apt install nginx-light)"
    if shutil.which("podman") is None:
        return "the gateway's image needs Podman (Debian: apt install podman runc mmdebstrap)"
    return None


@contextmanager
def gateway_process() -> Iterator[tuple[Gateway, int]]:
    """The image under its task's limits, and the process that runs it."""
    identity = Path(f"/run/glovebox-bench-{os.getpid()}.id")
    identity.unlink(missing_ok=True)
    with running_gateway(f"--cidfile={identity}") as gateway:
        inspect = ["podman", "inspect", "--format={{.State.Pid}}", identity.read_text()]
        process = int(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout)
        identity.unlink()
        yield gateway, process


@contextmanager
def setup() -> Iterator[Setup]:
    """The image under the limits of its task; nginx answers to the names of AWS."""
    build_image()
    with gateway_process() as (gateway, process), _origin(gateway) as address:
        source = gateway.places.scanner
        ticket = gateway.signer.sign(aws_claims())
        yield Setup(
            gateway=gateway,
            through=Way(
                address=gateway.places.gateway,
                port=3128,
                source=source,
                host=S3,
                authorities=gateway.authority,
                connect=connect_request(f"{S3}:443", ticket),
            ),
            direct=Way(
                address=address,
                port=443,
                source=source,
                host=S3,
                authorities=str(gateway.folder / "upstream.pem"),
            ),
            process=process,
        )


def measure(running: Setup, *, rounds: int, seconds: float) -> Figures:
    """Direct and through the gateway in turn, in one run, so that a busy machine is busy for both."""
    taken = [_round(running, seconds) for _ in range(rounds)]
    fields = Figures.__struct_fields__
    return Figures(**{name: median(getattr(each, name) for each in taken) for name in fields})


def decision_us(gateway: Gateway) -> float:
    """Microseconds of the judge's processor time from a question on its pipe to its answer there.

    Not of the clock's: between two processes that wait for each other that shows how fast cores wake up.
    """
    _, _, headers = signed("GET", GOOD_URL).decode().partition("\r\n")
    said = dict(line.split(": ", 1) for line in headers.split("\r\n") if ": " in line)
    user = gateway.signer.sign(aws_claims()).user
    fields = ["127.0.0.1", user, "GET", S3, "443", GOOD_URL, said["Authorization"].replace(" ", "%20")]
    question = " ".join(["0", *fields, *[ABSENT] * 4]).encode() + b"\n"
    command = [sys.executable, "-m", "squid.helpers.judge_request", "aws-api"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as judge:
        assert judge.stdin is not None and judge.stdout is not None  # noqa: PT018 - both are pipes
        before = 0.0
        for number in range(DECISIONS + 1):
            judge.stdin.write(question)
            answer = judge.stdout.read(256) or b""
            if not answer.startswith(b"0 OK"):
                raise ConfigurationError(f"The judge refuses the bench's request: {answer!r}.")
            if number == 0:  # It has started now.
                before = sum(cpu_seconds(judge.pid))
        took = sum(cpu_seconds(judge.pid)) - before
        judge.stdin.close()
    return took / DECISIONS * 1e6


def _round(running: Setup, seconds: float) -> Figures:
    request = signed("GET", GOOD_URL)

    def load(mode: Mode, *ways: Way, clients: int = 1) -> list[Load]:
        return _load(Job(mode=mode, ways=list(ways), request=request, seconds=seconds, clients=clients))

    (kept_direct,) = load("kept", running.direct, clients=CLIENTS)
    before = cpu_seconds(running.process)
    (kept,) = load("kept", running.through, clients=CLIENTS)
    after = cpu_seconds(running.process)
    (new_direct,) = load("new", running.direct, clients=CLIENTS)
    before_new = cpu_seconds(running.process)
    (new,) = load("new", running.through, clients=CLIENTS)
    after_new = cpu_seconds(running.process)
    kept_pair = load("kept", running.direct, running.through)
    new_pair = load("new", running.direct, running.through)
    return Figures(
        kept_per_second=kept.per_second,
        kept_direct_per_second=kept_direct.per_second,
        kept_cpu_us=(sum(after) - sum(before)) / kept.requests * 1e6,
        kept_helpers_cpu_us=(after[1] - before[1]) / kept.requests * 1e6,
        new_per_second=new.per_second,
        new_direct_per_second=new_direct.per_second,
        new_cpu_us=(sum(after_new) - sum(before_new)) / new.requests * 1e6,
        kept_added_ms=kept_pair[1].p50_ms - kept_pair[0].p50_ms,
        new_added_ms=new_pair[1].p50_ms - new_pair[0].p50_ms,
    )


def _load(job: Job) -> list[Load]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gateway_load"],
        input=msgspec.json.encode(job),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(f"The load did not end: {done.stderr.decode()[-1_000:]}")
    return msgspec.json.decode(done.stdout, type=list[Load])


def cpu_seconds(process: int) -> tuple[float, float]:
    """Of Squid, and of its helpers: the processes below `process`, user and system."""
    squid = helpers = 0.0
    pending = [process]
    while pending:
        each = Path(f"/proc/{pending.pop()}")
        pending += map(int, (each / "task" / each.name / "children").read_text().split())
        name, _, rest = (each / "stat").read_text().partition("(")[2].rpartition(")")
        spent = sum(map(int, rest.split()[11:13])) / _TICK
        if name == "squid":
            squid += spent
        else:
            helpers += spent
    return squid, helpers


@contextmanager
def _origin(gateway: Gateway) -> Iterator[str]:
    """nginx with a certificate that the gateway believes; all names of AWS lead to its address, the value."""
    folder, address = gateway.folder, f"{gateway.places.net}.110"
    block = (
        f"server {{ listen {address}:443 ssl; keepalive_requests 100000000;"
        f" ssl_certificate {folder}/origin.pem; ssl_certificate_key {folder}/origin.key;"
        f' default_type text/xml; location / {{ return 200 "{"x" * ANSWER}"; }} }}'
    )
    configuration = nginx.write(folder, [block])
    log_path = folder / "nginx.log"
    with log_path.open("wb") as log:
        command = [str(nginx.program()), "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
        process = processes.start(command, environment=os.environ, folder=folder, output=log)
    gateway.names.default = Answer(addresses=(address,))
    try:
        _await(address, log_path)
        yield address
    finally:
        processes.end(process)


def _await(address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_TO_START
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, 443), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise ConfigurationError(f"nginx did not start: {log.read_text()[-2_000:]}")
