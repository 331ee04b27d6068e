"""The embedded cloud itself: MiniStack as a child process on loopback."""

from __future__ import annotations

import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.farm.authority import Authority, pem_of
from glovebox.local import processes
from glovebox.local.aws import ACCOUNT, REGION, Credentials, LocalAws, clean_environment

START_SECONDS = 30.0
"""It answers within a second on a quiet machine; two busy cores may take ten times as long."""
LOG = "ministack.log"


@contextmanager
def running_ministack(python: Path, folder: Path) -> Iterator[LocalAws]:
    """MiniStack on a free loopback port, with TLS and with its permission checks on.

    `python` is the interpreter of the environment that MiniStack is installed in, `folder` is where
    its state, its certificate and its log go.  Everything it starts ends with the block.

    Raises:
        ConfigurationError: there is no such environment.
        UpstreamError: it did not start; says what its log ends with.
    """
    if not python.exists():
        raise ConfigurationError(f"MiniStack is not installed: {python} is missing.", fix="Run: make setup")
    for name in ("state", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ca, certificate = _certificates(folder)
    port = free_port()
    credentials = Credentials(ACCOUNT, secrets.token_urlsafe(30))
    aws = LocalAws(f"https://127.0.0.1:{port}", ca, credentials)
    with (folder / LOG).open("wb") as log:
        process = processes.start(
            _command(python.absolute(), port, certificate),
            environment=_environment(aws, folder, port, certificate),
            folder=folder,
            output=log,
        )
        try:
            _wait_until_healthy(aws, process, folder / LOG)
            yield aws
        finally:
            processes.end(process)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority for this run alone and a server's certificate and key under it, as PEM files.

    With TLS, the bucket policies that refuse plain HTTP can stay as they are.
    """
    authority = Authority.create(common_name="Glovebox local cloud", organization="Glovebox")
    ca = folder / "authority.pem"
    ca.write_bytes(pem_of([authority.certificate]))
    return ca, authority.issue(["127.0.0.1", "localhost"]).write(folder / "server.pem")


def _command(python: Path, port: int, certificate: Path) -> list[str]:
    """Its own command would also take port 443; its server with one address does not."""
    return [
        str(python), "-m", "hypercorn", "ministack.app:app",
        "--bind", f"127.0.0.1:{port}",
        "--certfile", str(certificate),
        "--keyfile", str(certificate),
        "--workers", "0",
        "--keep-alive", "75",
        "--log-level", "WARNING",
    ]  # fmt: skip


def _environment(aws: LocalAws, folder: Path, port: int, certificate: Path) -> dict[str, str]:
    """Also what its Lambda functions inherit, beside the variables and the role of their own."""
    ca = str(aws.authority)
    return clean_environment(
        {
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "STATE_DIR": str(folder / "state"),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(certificate),
            "MINISTACK_SSL_KEY": str(certificate),
            "PERSIST_STATE": "0",
            "LAMBDA_EXECUTOR": "local",
            # No engine: a task stays a record, and our agent runs its containers.
            "DOCKER_HOST": "unix:///nonexistent",
            "LOG_LEVEL": "WARNING",
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_ACCESS_KEY_ID": aws.credentials.key_id,
            "AWS_SECRET_ACCESS_KEY": aws.credentials.secret,
            "AWS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
            "REQUESTS_CA_BUNDLE": ca,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )


def _wait_until_healthy(aws: LocalAws, process: subprocess.Popen[bytes], log: Path) -> None:
    trust = ssl.create_default_context(cafile=str(aws.authority))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with opener.open(f"{aws.endpoint}/_ministack/health", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2_000:]
    raise UpstreamError(f"MiniStack did not start. Its log ends with:\n{tail}", fix=f"The whole log: {log}")
