"""The inlet of a repository's scan: what it unpacks of a snapshot, and of which it leaves nothing."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from containers.inlet import repository
from containers.inlet.bucket import Bucket as Inlets
from containers.inlet.repository import lay_down
from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.scans.repositories import CANARY_FILES, RepositoryScanRequest
from glovebox.snapshots.errors import SnapshotError
from tests.airlock_server import Bucket, bucket
from tests.tarballs import TOP, member, of_files, snapshot_request, tarball

ROOT = Path(__file__).resolve().parents[2]
FILES = {"README.md": b"# Shop\n", "src/a/b.py": b"pass\n", "src/a.py": b"", "LICENSE": b"x" * 70_000}
ARCHIVE = of_files(FILES)
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the containers are Linux's")


@pytest.fixture
def s3() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "in"
    made.mkdir()
    yield made
    for path, _, _ in os.walk(made):
        Path(path).chmod(0o700)


def laid(s3: Bucket, folder: Path, archive: bytes, request: RepositoryScanRequest) -> Path:
    """The folder of the sources."""
    s3.objects["archive"] = archive
    with requests.Session() as session:
        session.trust_env = False
        lay_down(Inlets(session, sleep=lambda seconds: None), s3.url("archive"), request, folder)
    return folder / "tree" / "repository"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run(s3: Bucket, folder: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    urls = {
        "GLOVEBOX_REQUEST_URL": s3.url("request.json"),
        "GLOVEBOX_SNAPSHOT_URL": s3.url("archive"),
    }
    urls.pop(without, None)
    return subprocess.run(
        [sys.executable, "-m", "containers.inlet"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GLOVEBOX_IN": str(folder), **urls},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


# ---------------------------------------------------------------- what is laid down


def test_the_inlet_lays_down_a_repository_read_only_and_the_request_beside_it(
    s3: Bucket, folder: Path
) -> None:
    request = snapshot_request(ARCHIVE, 4)
    s3.objects |= {"request.json": msgspec.json.encode(request), "archive": ARCHIVE}
    done = run(s3, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) | {"bytes": 70_012, "files": 4, "linksLeftOut": 0} == json.loads(
        done.stdout
    )
    assert "secret" not in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["request.json", "tree"]
    assert msgspec.json.decode((folder / "request.json").read_bytes(), type=RepositoryScanRequest) == request
    assert contents(folder / "tree" / "repository") == FILES
    modes = {stat.filemode(path.stat().st_mode) for path in [folder / "tree", *(folder / "tree").rglob("*")]}
    assert modes == {"dr-xr-xr-x", "-r--r--r--"}


def test_the_canary_is_a_new_key_each_time_an_image_of_root_and_an_old_package(
    s3: Bucket, tmp_path: Path
) -> None:
    keys = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4))
        canary = folder / "tree" / "canary"
        assert {path.name for path in canary.iterdir()} == set(CANARY_FILES)
        pem = (canary / "key.pem").read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, EllipticCurvePrivateKey)
        assert key.curve.name == "secp256r1"
        keys.add(pem)
        assert b"USER root" in (canary / "Dockerfile").read_bytes()
        lock = json.loads((canary / "package-lock.json").read_bytes())
        assert lock["packages"]["node_modules/lodash"]["version"] == "4.17.4"
    assert len(keys) == 2


def test_names_that_differ_by_case_are_two_and_bytes_that_are_no_text_are_spelled_out(
    s3: Bucket, folder: Path
) -> None:
    odd = {"\udcff\udcfe.txt": b"1", "a\nb": b"2", "A.txt": b"3", "a.txt": b"4", "u\u0308": b"5", "ü": b"6"}
    archive = of_files(odd)
    root = laid(s3, folder, archive, snapshot_request(archive, len(odd)))
    assert sorted(os.fsencode(path.name) for path in root.iterdir()) == sorted(
        os.fsencode(name).decode(errors="backslashreplace").encode() for name in odd
    )


def test_a_name_that_would_be_too_long_spelled_out_has_a_digest_at_its_end(s3: Bucket, folder: Path) -> None:
    long, like = "ü" + "\udce9" * 200, "ü" + "\udce9" * 201
    archive = of_files({f"{long}/x": b"1", like: b"2"})
    root = laid(s3, folder, archive, snapshot_request(archive, 2))
    names = [path.name for path in root.iterdir()]
    assert len(names) == 2
    assert all(name.startswith("ü" + "\\xe9" * 50) and len(name.encode()) < 256 for name in names)


@pytest.mark.parametrize("suffix", ["", "/x"])
def test_two_names_that_would_be_one_are_refused(s3: Bucket, folder: Path, suffix: str) -> None:
    archive = of_files({"caf\udce9": b"1", f"caf\\xe9{suffix}": b"2"})
    with pytest.raises(SnapshotError, match="look the same"):
        laid(s3, folder, archive, snapshot_request(archive, 2))
    assert list(folder.iterdir()) == []


def test_no_mode_of_the_archives_counts(s3: Bucket, folder: Path) -> None:
    archive = of_files(
        {}, member(f"{TOP}/d/", type_=tarfile.DIRTYPE, mode=0), member(f"{TOP}/d/x", mode=0o4777)
    )
    root = laid(s3, folder, archive, snapshot_request(archive, 1))
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o555
    assert stat.S_IMODE((root / "d" / "x").stat().st_mode) == 0o444


@pytest.mark.parametrize("target", ["README.md", "/etc/passwd", "../../../etc", "."])
def test_links_are_not_laid_down_and_counted(
    s3: Bucket, folder: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = of_files(FILES, member(f"{TOP}/link", type_=tarfile.SYMTYPE, link=target))
    root = laid(s3, folder, archive, snapshot_request(archive, 4))
    assert contents(root) == FILES
    assert not (root / "link").is_symlink()
    assert json.loads(capsys.readouterr().out)["linksLeftOut"] == 1


def test_folders_in_any_order_and_deeper_than_a_path_may_be_long_are_made(s3: Bucket, folder: Path) -> None:
    deep = "/".join(["d" * 70] * 50)
    mixed = {"b/1": b"1", "a/1": b"2", "b/2": b"3", f"{deep}/x": b"4", "a/c/1": b"5", "top": b"6"}
    archive = of_files(
        mixed, member(f"{TOP}/a/", type_=tarfile.DIRTYPE), member(f"{TOP}/empty/", type_=tarfile.DIRTYPE)
    )
    root = laid(s3, folder, archive, snapshot_request(archive, 6))
    assert contents(root) == mixed
    assert (root / "empty").is_dir()


# ---------------------------------------------------------------- what is refused


def damaged(archive: bytes) -> bytes:
    return archive[:-20] + bytes(byte ^ 0xFF for byte in archive[-20:])


def hard(target: str) -> bytes:
    return of_files(FILES, member(f"{TOP}/x", type_=tarfile.LNKTYPE, link=target))


LINKED = (member(f"{TOP}/dir", type_=tarfile.SYMTYPE, link="/tmp"), member(f"{TOP}/dir/x", b"1"))
HOSTILE = {
    "up": (of_files(FILES, member(f"{TOP}/../../x", b"1")), "snapshot_refused"),
    "up and down": (of_files(FILES, member(f"{TOP}/a/../x", b"1")), "snapshot_refused"),
    "absolute": (of_files(FILES, member("/tmp/x", b"1")), "snapshot_refused"),
    "another top": (of_files(FILES, member("other/x", b"1")), "snapshot_refused"),
    "git's own folder": (of_files(FILES, member(f"{TOP}/.git/hooks/x", b"1")), "snapshot_refused"),
    "through a link": (of_files(FILES, *LINKED), "snapshot_refused"),
    "twice": (of_files(FILES, member(f"{TOP}/LICENSE", b"1")), "snapshot_refused"),
    "a file's child": (of_files(FILES, member(f"{TOP}/LICENSE/x", b"1")), "snapshot_refused"),
    "hard link": (hard(f"{TOP}/LICENSE"), "snapshot_refused"),
    "hard link out": (hard("/etc/passwd"), "snapshot_refused"),
    "device": (of_files(FILES, member(f"{TOP}/x", type_=tarfile.BLKTYPE)), "snapshot_refused"),
    "character device": (of_files(FILES, member(f"{TOP}/x", type_=tarfile.CHRTYPE)), "snapshot_refused"),
    "pipe": (of_files(FILES, member(f"{TOP}/x", type_=tarfile.FIFOTYPE)), "snapshot_refused"),
    "too deep": (of_files({"d/" * 70 + "x": b"1"}), "snapshot_too_large"),
    "cut": (ARCHIVE[: len(ARCHIVE) // 2], "snapshot_damaged"),
    "garbled": (damaged(ARCHIVE), "snapshot_damaged"),
    "no gzip": (b"PK\x03\x04" + ARCHIVE, "snapshot_damaged"),
    "followed": (ARCHIVE + gzip.compress(b"more"), "snapshot_damaged"),
    "no tar": (gzip.compress(b"x" * 2_000), "snapshot_damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_of_an_archive_that_no_commit_makes_nothing_stays(s3: Bucket, folder: Path, name: str) -> None:
    archive, failure = HOSTILE[name]
    beside = set(folder.parent.iterdir())
    with pytest.raises(SnapshotError) as refused:
        laid(s3, folder, archive, snapshot_request(archive, 4))
    assert refused.value.failure_class == failure
    assert list(folder.iterdir()) == []
    assert set(folder.parent.iterdir()) == beside


def test_of_an_archive_of_zeros_nothing_stays(s3: Bucket, folder: Path) -> None:
    archive = of_files({"x": bytes(240 << 20)})
    assert len(archive) < 1 << 20
    with pytest.raises(SnapshotError) as refused:
        laid(s3, folder, archive, snapshot_request(archive, 1))
    assert refused.value.failure_class == "snapshot_too_large"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": hashlib.sha256(b"").hexdigest()},
        {"size": len(ARCHIVE) - 1},
        {"size": len(ARCHIVE) + 1},
    ],
    ids=str,
)
def test_of_another_archive_than_the_requests_nothing_stays(
    s3: Bucket, folder: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(SnapshotError) as refused:
        laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4, **changes))
    assert refused.value.failure_class == "snapshot_damaged"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("files", [0, 3, 5])
def test_of_an_archive_with_another_number_of_files_nothing_stays(
    s3: Bucket, folder: Path, files: int
) -> None:
    with pytest.raises(SnapshotError, match=f"has 4 files, and not {files}"):
        laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, files))
    assert list(folder.iterdir()) == []


def test_the_inlet_ends_the_task_and_says_the_class_and_what_to_do(s3: Bucket, folder: Path) -> None:
    archive = HOSTILE["device"][0]
    s3.objects |= {"request.json": msgspec.json.encode(snapshot_request(archive, 4)), "archive": archive}
    done = run(s3, folder)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["failureClass"], told["error"]) == ("snapshot_refused", "SnapshotError")
    assert "a block device" in told["reason"]
    assert told["fix"]
    assert list(folder.iterdir()) == []


def test_without_an_address_the_inlet_names_the_variable(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"] = msgspec.json.encode(snapshot_request(ARCHIVE, 4))
    done = run(s3, folder, without="GLOVEBOX_SNAPSHOT_URL")
    assert done.returncode == 1
    assert "GLOVEBOX_SNAPSHOT_URL" in done.stdout


def test_a_tree_that_is_there_already_is_not_unpacked_over(s3: Bucket, folder: Path) -> None:
    (folder / "tree").symlink_to(folder.parent)
    with pytest.raises(ConfigurationError, match="File exists"):
        laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4))
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


def test_a_full_volume_is_called_so(s3: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, body: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ConfigurationError) as refused:
        laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4))
    assert "There is no room for the repository" in refused.value.reason
    assert "ephemeral storage" in refused.value.fix
    assert list(folder.iterdir()) == []


# ---------------------------------------------------------------- the way there


def test_what_broke_off_begins_anew_in_an_empty_folder(
    s3: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, broken = repository._write, iter([True, True, True])

    def breaking(parent: int, name: bytes, pieces: Iterator[bytes]) -> None:
        write(parent, name, pieces)
        if name == b"LICENSE" and next(broken, False):
            raise requests.ConnectionError

    monkeypatch.setattr(repository, "_write", breaking)
    assert contents(laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4))) == FILES
    assert next(broken, None) is None


def test_a_bucket_that_stumbles_is_asked_again_and_a_redirect_is_not_followed(
    s3: Bucket, folder: Path
) -> None:
    s3.answers = [503, 500]
    laid(s3, folder, ARCHIVE, snapshot_request(ARCHIVE, 4))
    s3.answers = [302]
    (folder.parent / "other").mkdir()
    with pytest.raises(UpstreamError, match="answered 302"):
        laid(s3, folder.parent / "other", ARCHIVE, snapshot_request(ARCHIVE, 4))


def test_an_address_that_is_over_is_not_asked_for_ever(folder: Path, s3: Bucket) -> None:
    ticks = iter(range(0, 100_000, 500))
    s3.objects["archive"] = ARCHIVE
    with requests.Session() as session:
        slow = Inlets(session, sleep=lambda seconds: None, clock=lambda: float(next(ticks)))
        with pytest.raises(UpstreamError, match="The snapshot cannot be fetched"):
            lay_down(slow, s3.url("archive"), snapshot_request(ARCHIVE, 4), folder)
    assert list(folder.iterdir()) == []


def test_an_empty_commit_is_laid_down_as_one(s3: Bucket, folder: Path) -> None:
    archive = tarball([member(f"{TOP}/", type_=tarfile.DIRTYPE)])
    assert contents(laid(s3, folder, archive, snapshot_request(archive, 0))) == {}
