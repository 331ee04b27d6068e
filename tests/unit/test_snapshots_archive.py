"""Archives of commits: what git makes is read, and all that it does not is refused, in bounded memory."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glovebox.scans.repositories import MAX_DEPTH, RATIO_FROM, Gap
from glovebox.snapshots import names
from glovebox.snapshots.archive import Archive
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.gaps import Comparison
from glovebox.snapshots.headers import MAX_PAX
from glovebox.snapshots.ports import Blob, Tree
from tests.snapshots import COMMIT, TOP, archive_of, entry, pieces, read, tar, with_headers

FILES = {"a.txt": b"a", "src/deep/b.bin": bytes(100_000), "empty": b""}
FOLDER = (entry(TOP, kind=tarfile.DIRTYPE), b"")


def refused(data: bytes) -> str:
    with pytest.raises(SnapshotError) as caught:
        read(data)
    return caught.value.failure_class


@pytest.mark.parametrize("size", [1, 511, 65_536, 1 << 20])
def test_files_come_with_their_contents_however_the_bytes_come(size: int) -> None:
    archive, members = read(archive_of(FILES), size)
    assert {each.text: body for each, body in members} == FILES
    assert archive.commit == COMMIT
    assert (archive.files, archive.unpacked) == (3, 100_001)


def test_contents_that_nobody_reads_are_passed_over() -> None:
    archive = Archive(pieces(archive_of(FILES)))
    assert [each.text for each in archive] == list(FILES)


def by_git(folder: Path, *command: str) -> bytes:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    return subprocess.run(["git", *who, "-C", str(folder), *command], check=True, capture_output=True).stdout


def committed(folder: Path) -> bytes:
    """The archive of all that lies there."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        by_git(folder, *command)
    return by_git(folder, "archive", "--format=tar.gz", f"--prefix={TOP}/", "HEAD")


def test_what_git_itself_makes_is_read(tmp_path: Path) -> None:
    long = "very-long-" * 12
    (tmp_path / long).mkdir()
    (tmp_path / long / long).write_bytes(b"content")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    archive, members = read(committed(tmp_path))
    commit = by_git(tmp_path, "rev-parse", "HEAD").decode()
    found = {each.text: (each.kind, each.mode & 0o111, each.target, body) for each, body in members}
    assert archive.commit == commit.strip()
    assert found.pop("link")[::2] == ("link", b"/etc/passwd")
    assert found.pop("run.sh")[:2] == ("file", 0o111)
    assert found == {long: ("folder", 0o111, b"", b""), f"{long}/{long}": ("file", 0, b"", b"content")}


def test_what_git_itself_rewrites_is_told_and_line_ends_are_not(tmp_path: Path) -> None:
    attributes = "*.bat text eol=crlf\n*.py working-tree-encoding=UTF-16\nversion export-subst\n"
    (tmp_path / ".gitattributes").write_text(attributes)
    (tmp_path / "run.bat").write_bytes(b"a\nb\n\nc")
    (tmp_path / "key.py").write_bytes("key = 1\n".encode("utf-16"))
    (tmp_path / "version").write_text("$Format:%H$\n")
    (tmp_path / "link").symlink_to("version")
    archive = Archive([committed(tmp_path)])
    listed = by_git(tmp_path, "ls-tree", "-r", "-l", "HEAD").decode().splitlines()
    words = [line.split() for line in listed]
    tree = Tree(
        {path: mode for mode, _, _, _, path in words},
        {path: Blob(name, int(size)) for _, _, name, size, path in words},
    )
    comparison = Comparison(tree)
    for member in archive:
        comparison.see(member, archive.contents())
    gaps, _ = comparison.finish()
    assert gaps == [Gap(kind="rewritten", path="key.py"), Gap(kind="rewritten", path="version")]


@pytest.mark.parametrize(
    "name",
    [
        f"{TOP}/../x",
        f"{TOP}/a/../../x",
        "../x",
        "/etc/passwd",
        "x",
        f"{TOP}//x",
        f"{TOP}/./x",
        "other/x",
        f"{TOP}/.git/config",
        f"{TOP}/sub/.GIT/hooks/post-checkout",
        f"{TOP}/{'n' * 256}",
    ],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_a_name_that_no_commit_has_refuses_the_whole_archive(name: str, kind: bytes) -> None:
    if (name, kind) == ("x", tarfile.DIRTYPE):
        name = "x/y"
    assert refused(archive_of(FILES, entry(name, kind=kind, target="a.txt"))) == "snapshot_refused"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
        b"V",
        b"A",
    ],
)
def test_what_is_neither_file_nor_folder_nor_link_refuses_the_whole_archive(kind: bytes) -> None:
    assert refused(archive_of(FILES, entry(f"{TOP}/x", kind=kind, target="a.txt"))) == "snapshot_refused"


def test_a_link_is_told_and_not_followed() -> None:
    link = entry(f"{TOP}/out", kind=tarfile.SYMTYPE, target="../../../etc/passwd")
    _, members = read(archive_of({}, link))
    (member, body) = members[-1]
    assert (member.kind, member.target, member.size, body) == ("link", b"../../../etc/passwd", 0, b"")


@pytest.mark.parametrize("first", [tarfile.SYMTYPE, tarfile.REGTYPE])
def test_nothing_lies_below_a_link_or_a_file(first: bytes) -> None:
    below = entry(f"{TOP}/out/x")
    assert (
        refused(archive_of({}, entry(f"{TOP}/out", kind=first, target="/tmp"), below)) == "snapshot_refused"
    )
    assert refused(archive_of({"out/x": b""}, entry(f"{TOP}/out", kind=first, target="/tmp"))) == (
        "snapshot_refused"
    )


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_a_name_that_comes_twice_refuses_the_whole_archive(kind: bytes) -> None:
    twice = entry(f"{TOP}/x", kind=kind, target="a")
    assert refused(archive_of({}, twice, twice)) == "snapshot_refused"


def test_names_that_differ_in_case_are_two() -> None:
    _, members = read(archive_of({"Readme": b"1", "README": b"2"}))
    assert [(each.text, body) for each, body in members] == [("Readme", b"1"), ("README", b"2")]


def test_names_of_any_bytes_are_kept_and_can_be_shown() -> None:
    _, members = read(archive_of({b"caf\xe9\xff".decode("utf-8", "surrogateescape"): b"1", "new\nline": b""}))
    assert [(each.path, each.text) for each, _ in members] == [
        (b"caf\xe9\xff", "caf\\xe9\\xff"),
        (b"new\nline", "new\nline"),
    ]


def test_more_files_than_any_commit_has_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_FILES", 100)
    assert refused(archive_of({f"d{number}/f": b"" for number in range(50)})) == "snapshot_too_large"


def test_folders_in_folders_are_limited() -> None:
    assert refused(archive_of({"d/" * MAX_DEPTH + "f": b""})) == "snapshot_too_large"
    read(archive_of({"d/" * (MAX_DEPTH - 1) + "f": b""}))


def test_a_path_of_more_than_4096_bytes_is_too_long() -> None:
    assert refused(archive_of({"/".join(["x" * 200] * 21): b""})) == "snapshot_too_large"


def test_what_packs_a_thousand_fold_is_a_bomb() -> None:
    assert refused(archive_of({"zeros": bytes(RATIO_FROM)})) == "snapshot_too_large"


def test_a_small_file_may_pack_a_thousand_fold() -> None:
    read(archive_of({"zeros": bytes(RATIO_FROM - 10_000)}))


def test_files_that_claim_more_than_the_limit_are_refused_before_they_come() -> None:
    claimed = entry(f"{TOP}/huge")
    claimed.size = 7 << 30
    data = gzip.compress(FOLDER[0].tobuf() + claimed.tobuf() + bytes(1_024))
    assert refused(data) == "snapshot_too_large"


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -8, -20])
def test_a_cut_off_archive_is_damaged(cut: int) -> None:
    assert refused(archive_of(FILES)[:cut]) == "snapshot_damaged"


def test_a_tar_that_ends_in_the_middle_is_damaged() -> None:
    raw = tar([FOLDER, (entry(f"{TOP}/a", body=b"x" * 2_000), b"x" * 2_000)])
    end = len(raw.rstrip(b"\0"))
    for cut in (end, end - 600, 512, 700):
        assert refused(gzip.compress(raw[:cut])) == "snapshot_damaged"


@pytest.mark.parametrize(
    "more", [b"\0", b"x", gzip.compress(b"", mtime=0), gzip.compress(bytes(512), mtime=0)]
)
def test_what_goes_on_after_its_end_is_damaged(more: bytes) -> None:
    assert refused(archive_of(FILES) + more) == "snapshot_damaged"


@pytest.mark.parametrize("more", [b"x", bytes(5_000) + b"x", bytes(2 << 20)])
def test_a_tar_that_goes_on_after_its_end_is_damaged(more: bytes) -> None:
    assert refused(gzip.compress(tar([FOLDER]) + more)) == "snapshot_damaged"


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"no tar" * 500, mtime=0), gzip.compress(b"", mtime=0)]
)
def test_what_is_no_archive_is_damaged(data: bytes) -> None:
    assert refused(data) == "snapshot_damaged"


def test_a_bit_that_has_changed_is_damaged() -> None:
    data = bytearray(archive_of({"a": bytes(range(256)) * 40}))
    data[-5] ^= 1
    assert refused(bytes(data)) == "snapshot_damaged"


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_other_dialects_of_tar_are_read_only_where_they_are_posix(format_: int) -> None:
    raw = gzip.compress(tar([FOLDER, (entry(f"{TOP}/a", body=b"1"), b"1")], commit="", format=format_))
    if format_ == tarfile.USTAR_FORMAT:
        archive, members = read(raw)
        assert (archive.commit, len(members)) == ("", 1)
    else:
        assert refused(raw) == "snapshot_damaged"


def _size(value: bytes) -> bytes:
    return with_headers(tar([FOLDER], commit=""), lambda block: block.__setitem__(slice(124, 136), value))


@pytest.mark.parametrize("value", [b"\x80" + bytes(10) + b"\1", b"\xff" * 12, b"-0000000001\0", b" " * 12])
def test_sizes_in_base_256_or_below_nothing_are_damaged(value: bytes) -> None:
    assert refused(gzip.compress(_size(value))) == "snapshot_damaged"


def _pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    header = entry("pax", kind=kind)
    header.size = len(records)
    return header.tobuf() + records + bytes(-len(records) % 512)


@pytest.mark.parametrize(
    ("records", "class_"),
    [
        (b"11 path=abc", "snapshot_damaged"),
        (b"99 path=x\n", "snapshot_damaged"),
        (b"-9 path=x\n", "snapshot_damaged"),
        (b"0 path=x\n", "snapshot_damaged"),
        (b"9 path=a\n9 path=b\n", "snapshot_damaged"),
        (b"9 size=-1\n", "snapshot_damaged"),
        (b"22 GNU.sparse.major=1\n", "snapshot_refused"),
        (b"19 hdrcharset=UTF7\n", "snapshot_refused"),
        (f"{len(TOP) + 12} path={TOP}/a\0\n".encode(), "snapshot_refused"),
    ],
)
def test_pax_records_that_git_does_not_write_are_no_archive_s(records: bytes, class_: str) -> None:
    made = gzip.compress(FOLDER[0].tobuf() + _pax(records) + entry(f"{TOP}/a").tobuf() + bytes(1_024))
    assert refused(made) == class_


def test_pax_headers_are_few_small_and_where_git_puts_them() -> None:
    one = _pax(f"{len(TOP) + 11} path={TOP}/a\n".encode())
    comment = _pax(b"14 comment=abc\n"[:15].replace(b"14", b"15"), tarfile.XGLTYPE)
    for middle in (one + one, FOLDER[0].tobuf() + comment, comment + comment):
        assert refused(gzip.compress(middle + entry(f"{TOP}/a").tobuf() + bytes(1_024))) == "snapshot_refused"
    huge = entry("pax", kind=tarfile.XHDTYPE)
    huge.size = MAX_PAX + 1
    assert refused(gzip.compress(huge.tobuf() + bytes(MAX_PAX + 2_048))) == "snapshot_refused"


def test_a_global_header_that_names_files_is_refused() -> None:
    every = _pax(b"12 path=abc\n", tarfile.XGLTYPE)
    assert refused(gzip.compress(every + entry(f"{TOP}/a").tobuf() + bytes(1_024))) == "snapshot_refused"


BOMBS = {
    "zeros": "packer.compress(bytes(1 << 20))",
    "members": "packer.compress(next(headers))",
    "pax": "packer.compress(huge)",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_in_little_memory(bomb: str) -> None:
    """A process of its own that may have 256 MB of addresses beyond what its imports take."""
    program = f"""
import resource, tarfile, zlib
from glovebox.snapshots.archive import Archive
from glovebox.snapshots.errors import SnapshotError
from tests.snapshots import TOP, empty_files, entry
headers = empty_files(1_000_000)
header = entry("pax", kind=tarfile.XHDTYPE); header.size = 8 << 30
huge = header.tobuf() + bytes(1 << 20)
def packed():
    packer = zlib.compressobj(1, wbits=31)
    yield packer.compress(entry(TOP, kind=tarfile.DIRTYPE).tobuf())
    if {bomb!r} == "zeros":
        zeros = entry(TOP + "/z"); zeros.size = 5 << 30
        yield packer.compress(zeros.tobuf())
    for number in range(10_000_000):
        yield {BOMBS[bomb]}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
try:
    archive = Archive(packed())
    for member in archive:
        for piece in archive.contents():
            pass
except SnapshotError as error:
    print(error.failure_class)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("snapshot_refused" if bomb == "pax" else "snapshot_too_large")


NAME = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\0"), min_size=1, max_size=20)
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)


@given(st.dictionaries(PATH, st.binary(max_size=2_000), max_size=8), st.integers(1, 3_000))
@settings(deadline=None, max_examples=60)
def test_what_is_read_is_what_python_reads_or_nothing_is(files: dict[str, bytes], size: int) -> None:
    data = archive_of(files)
    try:
        _, members = read(data, size)
    except SnapshotError:
        parts = {part.lower() for path in files for part in path.split("/")}
        longest = max(len(part.encode()) for part in parts)
        below = any(other.startswith(path + "/") for path in files for other in files)
        assert parts & {".", "..", ".git"} or longest > names.MAX_PART or below
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        theirs = {
            info.name.removeprefix(TOP + "/"): getattr(archive.extractfile(info), "read", bytes)()
            for info in archive
            if info.isfile()
        }
    assert {each.path.decode(): body for each, body in members} == theirs


@given(st.binary(max_size=3_000))
@settings(deadline=None, max_examples=100)
def test_whatever_is_in_a_gzip_is_read_or_refused(data: bytes) -> None:
    try:
        read(gzip.compress(tar([FOLDER])[:1_024] + data))
    except SnapshotError:
        return


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_header_with_any_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    raw = tar([FOLDER, (entry(f"{TOP}/a", body=b"abc"), b"abc")], commit="")

    def change(block: bytearray) -> None:
        for _ in range(data.draw(st.integers(1, 4))):
            block[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))

    changed = raw[:512] + with_headers(raw[512:], change)
    try:
        _, members = read(gzip.compress(changed))
    except SnapshotError:
        return
    for member, _ in members:
        assert not {b"", b".", b".."} & set(member.path.split(b"/"))
