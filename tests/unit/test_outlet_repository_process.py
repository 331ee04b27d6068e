"""The outlet of a repository's scan as a real process: what it uploads, and what hostile reports cost it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from containers.outlet.repository.report import MAX_NATIVE_BYTES
from glovebox.scans.model import LoggedErrors, Manifest
from glovebox.scans.repositories import NATIVE_REPORTS, RepositoryScanner
from tests.airlock_repository import FOUND_KEY, MANIFEST_KEY, repository_order
from tests.airlock_server import Bucket, bucket
from tests.native_reports import (
    TREE,
    fished,
    hog,
    kingfisher,
    package,
    result,
    trivy,
    trufflehog,
    vulnerability,
)

ROOT = Path(__file__).resolve().parents[2]
ADDRESS_SPACE = 400 << 20
"""The report, its lines twice, 100 MB for Python with its libraries, and room for a few items."""
VALUE = "a-v4lue/that.must+not-go_out"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the containers are Linux's")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def s3() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


def send(s3: Bucket, out: Path, scanner: RepositoryScanner, **order: str) -> tuple[Manifest, str]:
    """The manifest, and what the outlet logs."""
    limited = f'ulimit -v {ADDRESS_SPACE >> 10}; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", limited, "sh", sys.executable, "-m", "containers.outlet"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GLOVEBOX_OUT": str(out),
            "GLOVEBOX_ORDER": repository_order(s3, scanner, **order),
        },
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    return msgspec.json.decode(s3.objects[MANIFEST_KEY], type=Manifest), done.stdout + done.stderr


def test_lines_and_manifest_go_out_and_the_secret_is_in_neither_nor_in_the_outlets_log(
    s3: Bucket, out: Path
) -> None:
    body = trufflehog([hog(VALUE), hog("another-value", path=f"{TREE}/repository/{VALUE}"), {"Raw": VALUE}])
    (out / NATIVE_REPORTS["trufflehog"]).write_bytes(body)
    (out / "scanner.log").write_text(
        f'{{"level":"error","ts":"2026-11-22T18:15:12Z","msg":"cannot read {VALUE}"}}\n'
    )
    (out / "exit.json").write_text('{"exit":0}')
    (out / "version.json").write_text('{"Version":"3.90.0"}')
    manifest, logged = send(s3, out, "trufflehog")
    assert s3.uploads == [FOUND_KEY, MANIFEST_KEY]
    sent = s3.objects[FOUND_KEY]
    assert (manifest.report_bytes, manifest.report_sha256) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert (manifest.report_lines, manifest.report_withheld, manifest.scanner_exit) == (2, 1, 0)
    assert (manifest.scanner_version, manifest.database_updated, manifest.reason) == ("3.90.0", "", "")
    assert manifest.logged_errors == [LoggedErrors(what="other", count=1)]
    assert manifest.log_tail == "2026-11-22T18:15:12Z error"
    for told in (sent.decode(), s3.objects[MANIFEST_KEY].decode(), logged):
        assert VALUE not in told


def test_the_age_of_trivys_database_is_told(s3: Bucket, out: Path) -> None:
    (out / NATIVE_REPORTS["trivy"]).write_bytes(trivy())
    version = {"Version": "0.76.0", "VulnerabilityDB": {"UpdatedAt": "2026-11-22T06:41:57.1Z"}}
    (out / "version.json").write_text(json.dumps(version))
    manifest, _ = send(s3, out, "trivy")
    assert (manifest.scanner_version, manifest.database_updated) == ("0.76.0", "2026-11-22T06:41:57.1Z")
    assert manifest.reason == "there is no scanner.log, so errors are not counted"


@pytest.mark.parametrize("scanner", NATIVE_REPORTS)
def test_without_a_report_the_manifest_says_so_and_so_does_the_log_without_what_it_quotes(
    s3: Bucket, out: Path, scanner: RepositoryScanner
) -> None:
    (out / "scanner.log").write_text("died of\nhidden\n")
    manifest, _ = send(s3, out, scanner)
    assert s3.uploads == [MANIFEST_KEY]
    assert (manifest.reason, manifest.scanner_exit) == (f"there is no {NATIVE_REPORTS[scanner]}", None)
    assert manifest.log_tail == "[withheld]"


def test_without_a_key_secrets_stay_and_the_manifest_says_why(s3: Bucket, out: Path) -> None:
    (out / NATIVE_REPORTS["kingfisher"]).write_bytes(kingfisher(fished(VALUE)))
    (out / "scanner.log").touch()
    manifest, _ = send(s3, out, "kingfisher", key="")
    assert manifest.report_withheld == 1
    assert "the fingerprint key is missing or malformed" in manifest.reason
    assert VALUE.encode() not in b"".join(s3.objects.values())


def filled(start: bytes, part: bytes, end: bytes) -> bytes:
    return start + part * ((MAX_NATIVE_BYTES - len(start + end)) // len(part)) + end


def packages() -> bytes:
    told = [package(Name=f"package-{number}", Version="1" * 250) for number in range(90_000)]
    found = [vulnerability(PkgName=f"package-{number}", Description="x " * 2_000) for number in range(11_000)]
    return trivy(result("repository/x", Packages=told), result("repository/y", Vulnerabilities=found))


def secrets() -> bytes:
    """Values that begin alike and have three hundred lengths, in paths that are made of how they begin."""
    place = f"{TREE}/repository/{'prefix' * 200}"
    return b"".join(
        trufflehog(
            [hog("prefix" * 50 + str(number), path=f"{place}{number}", ExtraData=None, Redacted=number)]
        )
        for number in range(40_000)
    )


PACKAGES = b'{"SchemaVersion":2,"Results":[{"Target":"repository/x","Packages":['
LICENSES = b'{"Name":"n","Licenses":[' + b'"",' * 80_000 + b'""]},'
HOSTILE: dict[str, tuple[RepositoryScanner, Callable[[], bytes], str]] = {
    "packages": ("trivy", packages, ""),
    "secrets": ("trufflehog", secrets, ""),
    "large items": (
        "trivy",
        lambda: filled(PACKAGES, LICENSES, b"{}]}]}"),
        "",
    ),
    "commas": ("kingfisher", lambda: filled(b'{"findings":[', b"{},", b"{}]}"), "more than 500,000 parts"),
    "lines": ("trufflehog", lambda: filled(b"", b"1\n", b""), "more than 500,000 parts"),
    "depth": ("trivy", lambda: filled(b'{"SchemaVersion":2,"Results":', b"[", b""), "too deep"),
    "one line": ("trufflehog", lambda: filled(b'"', b"x", b""), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hundred_megabytes_fit_a_bounded_address_space(s3: Bucket, out: Path, name: str) -> None:
    scanner, made, reason = HOSTILE[name]
    body = made()
    assert 40 << 20 < len(body) <= MAX_NATIVE_BYTES
    (out / NATIVE_REPORTS[scanner]).write_bytes(body)
    (out / "scanner.log").touch()
    manifest, _ = send(s3, out, scanner)
    assert manifest.report_uploaded
    assert reason in manifest.reason


@pytest.mark.parametrize("scanner", NATIVE_REPORTS)
def test_a_report_that_is_too_large_is_not_read(s3: Bucket, out: Path, scanner: RepositoryScanner) -> None:
    with (out / NATIVE_REPORTS[scanner]).open("wb") as file:
        file.truncate(1 << 40)
    manifest, _ = send(s3, out, scanner)
    assert manifest.reason.startswith(f"the report is larger than {MAX_NATIVE_BYTES:,} bytes")
