"""`python -m bench.snapshots [--quick] [--json FILE]`: snapshots of repositories, how fast and with how much.

A snapshot of 500 MB goes from the look-alike of GitHub into a server that plays S3, both in a process of
their own.  That S3 takes parts, counts their bytes and forgets them: what is measured is `snapshot`, which
downloads, hashes, unpacks, compares and uploads.  Then the inlet unpacks one of 100,000 files.

Exit code 0 where every promise is kept, 1 where one is not.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Final

import msgspec
from rich.console import Console

from bench import unpacking
from bench.measure import measured
from bench.targets import Target, at_least, at_most, target_table
from glovebox.local.agent import remove
from glovebox.local.github import AppKey, HostedRepository, LookAlike
from glovebox.local.github_trees import Leaf

MB: Final = 1_000_000
ARCHIVE: Final = 500 * MB
QUICK_ARCHIVE: Final = 100 * MB
FILE: Final = 100_000
"""Bytes: five thousand files in the large one."""
TEXTS: Final = 4
"""Of so many files one is text, which packs; the others do not."""
MB_PER_SECOND: Final = 30.0
PEAK_MB: Final = 200.0
UNPACK_SECONDS: Final = 20.0
QUICK_FILES: Final = 10_000
COMMIT: Final = hashlib.sha1(b"bench", usedforsecurity=False).hexdigest()
REPOSITORY: Final = "github.com/acme/large"
SECONDS: Final = 600


class Taken(msgspec.Struct, frozen=True):
    """What the process that takes the snapshot says."""

    seconds: float
    size: int
    files: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.snapshots", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 MB, 10,000 files")
    parser.add_argument("--json", type=Path, help="write the targets to this file too")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--take", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        _serve(options.serve)
        return 0
    if options.take:
        print(msgspec.json.encode(_take(Path(options.take))).decode())
        return 0
    targets = [
        *snapshots(QUICK_ARCHIVE if options.quick else ARCHIVE),
        *unpacked(QUICK_FILES if options.quick else unpacking.FILES),
    ]
    console = Console()
    console.width = max(console.width, 110)
    console.print(target_table(targets))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(targets), indent=2))
    return 1 if any(target.verdict == "FAIL" for target in targets) else 0


def snapshots(size: int) -> Iterator[Target]:
    """The process that takes it is measured; what serves it is another one."""
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary, _served(size) as line:
        place, said = Path(temporary) / "served.json", Path(temporary) / "output.txt"
        place.write_bytes(line)
        usage = measured([[sys.executable, "-m", "bench.snapshots", "--take", str(place)]], said)
        taken = msgspec.json.decode(said.read_bytes().splitlines()[-1], type=Taken)
    what = f"snapshot of {taken.size / MB:,.0f} MB in {taken.files:,} files, into a counting S3"
    yield at_least(
        f"{what}: at least {MB_PER_SECOND:.0f} MB/s", taken.size / MB / taken.seconds, MB_PER_SECOND
    )
    yield at_most(f"{what}: at most {PEAK_MB:.0f} MB of memory", usage.peak_bytes / MB, PEAK_MB)


def unpacked(files: int) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        found = unpacking.measured(folder, files)
        remove(folder)
    seconds = found.seconds * unpacking.FILES / files
    what = f"inlet: {unpacking.FILES:,} files unpacked ({files:,} measured)"
    yield at_most(f"{what} in at most {UNPACK_SECONDS:.0f} s", seconds, UNPACK_SECONDS)


# ---------------------------------------------------------------- in the process that takes it


def _take(place: Path) -> Taken:
    served = msgspec.json.decode(place.read_bytes(), type=dict[str, str])
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": served["s3"],
    }
    from glovebox.adapters.aws import client
    from glovebox.adapters.github import AppCredentials, GitHub
    from glovebox.adapters.s3_snapshots import S3Snapshots
    from glovebox.errors import NotFoundError
    from glovebox.scans.repositories import SnapshotOrder
    from glovebox.services.snapshot import SnapshotService

    class NoRegistry:
        def get(self, *_: object) -> None:
            raise NotFoundError("none")

    credentials = AppCredentials(served["app"], served["key"])
    service = SnapshotService(
        host=GitHub(lambda: credentials, host="github.com", api=served["api"]),
        store=S3Snapshots(client("s3"), "snapshots"),
        registry=NoRegistry(),  # type: ignore[arg-type]  # nothing else is asked of it
        fingerprint_key=lambda: "k" * 64,
        clock=lambda: datetime.now(UTC),
    )
    began = time.perf_counter()
    answer = service.take(SnapshotOrder(run_id="bench", repository=REPOSITORY))
    seconds = time.perf_counter() - began
    assert answer.snapshot is not None, answer.failure
    assert not answer.snapshot.gap_counts
    return Taken(seconds, answer.snapshot.size, answer.snapshot.files)


# ---------------------------------------------------------------- in the process that serves


@contextmanager
def _served(size: int) -> Iterator[bytes]:
    """The line that says where things are."""
    command = [sys.executable, "-m", "bench.snapshots", "--serve", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
            process.wait(SECONDS)


def _serve(size: int) -> None:
    """Until it is ended."""
    app = AppKey.made()
    with tempfile.TemporaryFile() as packed:
        repository = Large(number=1, files={}, size=size, packed=packed)
        repository.write()
        with LookAlike(app, {"acme/large": repository}).serving() as api:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _CountingS3)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            said = {
                "api": api,
                "app": app.id,
                "key": app.private_key,
                "s3": f"http://127.0.0.1:{server.server_port}",
            }
            print(msgspec.json.encode(said).decode(), flush=True)
            sys.stdin.read()


@dataclass(frozen=True)
class Packed(Leaf):
    """Only its name is kept."""

    named: tuple[str, int] = ("", 0)

    @property
    def blob(self) -> tuple[str, int]:
        return self.named


@dataclass(frozen=True, kw_only=True)
class Large(HostedRepository):
    """Packed before anybody asks for it."""

    size: int
    packed: IO[bytes]
    leaves: dict[str, Leaf] = field(default_factory=dict)

    def tree(self) -> dict[str, Leaf]:
        return self.leaves

    def commit(self) -> str:
        return COMMIT

    def archive(self, top: str, commit: str) -> IO[bytes]:
        return os.fdopen(os.open(f"/proc/self/fd/{self.packed.fileno()}", os.O_RDONLY), "rb")

    def write(self) -> None:
        noise = random.Random(1)  # noqa: S311 (the same bytes each time)
        packer = zlib.compressobj(1, wbits=31)
        written = 0

        def put(info: tarfile.TarInfo, body: bytes) -> None:
            nonlocal written
            block = info.tobuf(tarfile.PAX_FORMAT) + body + bytes(-len(body) % 512)
            data = packer.compress(block)
            written += len(data)
            self.packed.write(data)

        self.packed.write(packer.compress(tarfile.TarInfo.create_pax_global_header({"comment": COMMIT})))
        number = 0
        while written < self.size:
            name = f"d{number // 100}/f{number}"
            info = tarfile.TarInfo(f"acme-large-{COMMIT[:7]}/{name}")
            body = b"A line of text, as sources have them.\n" * 2_600 if number % TEXTS == 0 else b""
            body = body or noise.randbytes(FILE)
            info.size = len(body)
            put(info, body)
            self.leaves[name] = Packed("100644", named=Leaf("100644", body).blob)
            number += 1
        self.packed.write(packer.compress(bytes(1_024)) + packer.flush())
        self.packed.flush()


class _CountingS3(BaseHTTPRequestHandler):
    """As much of S3 as one snapshot asks for; objects are counted and forgotten."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_PUT(self) -> None:
        left = int(self.headers["content-length"])
        if self.headers.get("expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self._answer(200, b"", ETag='"0"')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if "uploadId" in self.path:
            body = b"<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>"
        else:
            body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
        self._answer(200, body)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's own)
        """Nothing to say."""


if __name__ == "__main__":
    raise SystemExit(main())
