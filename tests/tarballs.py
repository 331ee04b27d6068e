"""Archives of commits as hosts send them (`git archive`, gzipped), and as nobody should."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence

import msgspec

from glovebox.scans.repositories import RepositoryScanner, RepositoryScanRequest, RepositoryTarget
from tests.envelopes import SCAN

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOP = "acme-shop-0123456"


def member(
    name: str, body: bytes = b"", *, type_: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    """One member, whose name is as it is given."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = type_, link, mode, len(body)
    info.mtime = 1_700_000_000
    return info, body


def tarball(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Gzipped, the commit in its global header."""
    made = io.BytesIO()
    options = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": COMMIT}, "errors": "surrogateescape"}
    with tarfile.open(fileobj=made, mode="w", **options) as tar:
        for info, body in members:
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(made.getvalue(), compresslevel=6, mtime=0)


def of_files(files: Mapping[str, bytes], *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of a commit that has these files, and `more` members behind them."""
    return tarball(
        [
            member(f"{TOP}/", type_=tarfile.DIRTYPE, mode=0o775),
            *(member(f"{TOP}/{name}", body) for name, body in files.items()),
            *more,
        ]
    )


def snapshot_request(
    archive: bytes, files: int, scanner: RepositoryScanner = "trivy", **changes: object
) -> RepositoryScanRequest:
    made = RepositoryScanRequest(
        scan_id=SCAN,
        attempt=1,
        target=RepositoryTarget(repository="github.com/acme/shop", scanner=scanner),
        commit=COMMIT,
        size=len(archive),
        sha256=hashlib.sha256(archive).hexdigest(),
        files=files,
    )
    return msgspec.structs.replace(made, **changes)
