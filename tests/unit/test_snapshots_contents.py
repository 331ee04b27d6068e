"""What is counted of a snapshot's contents: gaps against the commit's tree, and lines that hide findings."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.scans.repositories import MAX_GAPS, Gap, GapKind
from glovebox.snapshots.archive import Member
from glovebox.snapshots.errors import AGAIN, FIXES, SnapshotError
from glovebox.snapshots.gaps import MAX_POINTER, POINTER, Comparison
from glovebox.snapshots.ignores import WORDS, Ignores
from glovebox.snapshots.ports import Blob, Tree


def file(path: bytes, size: int = 1) -> Member:
    return Member(path=path, kind="file", size=size, mode=0o644)


def link(path: bytes) -> Member:
    return Member(path=path, kind="link", size=0, mode=0o777, target=b"/x")


def test_a_snapshot_of_the_whole_commit_has_no_gaps() -> None:
    comparison = Comparison(Tree({"a": "100644", "b": "100755", "c": "120000"}))
    for member in (file(b"a"), file(b"b"), link(b"c")):
        comparison.see(member, [])
    assert comparison.finish() == ([], {})


def test_what_is_not_there_is_left_out_or_another_repository_s() -> None:
    gaps, counts = Comparison(Tree({"b": "100644", "a": "160000"})).finish()
    assert gaps == [Gap(kind="submodule", path="a"), Gap(kind="export-ignored", path="b")]
    assert counts == {"submodule": 1, "export-ignored": 1}


@pytest.mark.parametrize(
    ("size", "head", "gaps"),
    [
        (130, POINTER, 1),
        (MAX_POINTER, POINTER, 0),
        (130, POINTER[:-1] + b"x", 0),
        (len(POINTER) - 1, POINTER[:-1], 0),
    ],
)
def test_a_pointer_to_lfs_is_a_gap(size: int, head: bytes, gaps: int) -> None:
    comparison = Comparison(Tree({"a": "100644"}))
    comparison.see(file(b"a", size), [head])
    assert len(comparison.finish()[0]) == gaps


@pytest.mark.parametrize("member", [file(b"b"), file(b"A"), link(b"a"), file(b"sub")])
def test_what_the_commit_does_not_have_is_refused(member: Member) -> None:
    comparison = Comparison(Tree({"a": "100644", "sub": "160000"}))
    with pytest.raises(SnapshotError) as caught:
        comparison.see(member, [])
    assert caught.value.failure_class == "snapshot_refused"


def blob(data: bytes, kind: str = "sha1") -> Blob:
    return Blob(hashlib.new(kind, b"blob %d\0" % len(data) + data).hexdigest(), len(data))


def compared(member: Member, pieces: list[bytes], of_commit: Blob) -> dict[GapKind, int]:
    path = member.text
    comparison = Comparison(Tree({path: "120000" if member.kind == "link" else "100644"}, {path: of_commit}))
    comparison.see(member, pieces)
    return comparison.finish()[1]


def test_names_of_contents_are_git_s() -> None:
    assert blob(b"hello\n").name == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
@pytest.mark.parametrize(
    ("of_commit", "pieces", "gaps"),
    [
        (b"key = 1\n", [b"key", b" = 1\n"], {}),
        (b"", [], {}),
        (b"key = 1\n", [b"key = 2\n"], {"rewritten": 1}),
        (b"key = 1\n", ["key = 1\n".encode("cp037")], {"rewritten": 1}),
        (b"key = 1\n", ["key = 1\n".encode("utf-16")], {"rewritten": 1}),
        (b"$Format:%h$\n", [b"1234567\n"], {"rewritten": 1}),
        # Line ends (`eol=crlf`), in pieces that cut them, and nothing else beside.
        (b"a\nb\n", [b"a\r\nb\r", b"\n"], {}),
        (b"a\nb\n", [b"a\r\nc\r\n"], {"rewritten": 1}),
        (b"a\nb", [b"a\nb\r"], {"rewritten": 1}),
        (b"a\r\n", [b"a\n"], {"rewritten": 1}),
        (POINTER, [POINTER], {"lfs": 1}),
        (POINTER, [b"what the pointer points to"], {"rewritten": 1}),
    ],
)
def test_what_an_archive_has_rewritten_is_a_gap(
    kind: str, of_commit: bytes, pieces: list[bytes], gaps: dict[str, int]
) -> None:
    member = file(b"a", len(b"".join(pieces)))
    assert compared(member, pieces, blob(of_commit, kind)) == gaps


@pytest.mark.parametrize(("target", "gaps"), [(b"/x", {}), (b"/y", {"rewritten": 1})])
def test_a_link_that_leads_elsewhere_is_a_gap(target: bytes, gaps: dict[str, int]) -> None:
    assert compared(link(b"a"), [], blob(target)) == gaps


def test_a_gap_and_a_failure_show_no_secret() -> None:
    secret = "ghp_" + "x1" * 18
    [gap], _ = Comparison(Tree({f"a/{secret}": "100644"})).finish()
    failure = SnapshotError("ref_unknown", f"There is no {secret}.").failure
    assert secret not in gap.path + failure.reason
    assert gap.path.startswith("a/")


def test_a_hundred_gaps_fit_an_item_of_dynamodb() -> None:
    names = ("\U0001f600" * 4_000 + str(number) for number in range(MAX_GAPS))
    gaps, _ = Comparison(Tree(dict.fromkeys(names, "100644"))).finish()
    assert sum(len(gap.path.encode()) for gap in gaps) < 120_000


def test_where_the_tree_is_cut_off_nobody_knows_and_that_is_told() -> None:
    comparison = Comparison(Tree({"a": "100644"}, truncated=True))
    comparison.see(file(b"b"), [])
    assert comparison.finish() == (
        [Gap(kind="uncompared", path=""), Gap(kind="export-ignored", path="a")],
        {"uncompared": 1, "export-ignored": 1},
    )


def test_a_name_that_is_no_utf8_is_compared_as_the_host_tells_it() -> None:
    comparison = Comparison(Tree({"caf\ufffd": "100644"}))
    comparison.see(file(b"caf\xe9"), [])
    assert comparison.finish() == ([], {})


def test_many_gaps_are_all_counted_and_some_named() -> None:
    gaps, counts = Comparison(Tree({f"f{number}": "100644" for number in range(1_000)})).finish()
    assert (len(gaps), counts) == (MAX_GAPS, {"export-ignored": 1_000})


def test_a_gap_s_path_hides_nothing() -> None:
    [gap], _ = Comparison(Tree({"a\x1b[2Jb\u202e": "100644"})).finish()
    assert gap.path == "a<U+001B>[2Jb<U+202E>"


def counted(*files: list[bytes]) -> dict[str, int]:
    ignores = Ignores()
    for pieces in files:
        ignores.begin(b"src/a")
        for piece in pieces:
            ignores.feed(piece)
    return {**ignores.counts}


def test_lines_are_counted_for_each_scanner_and_once_each() -> None:
    text = b"# trivy:ignore:A trivy:ignore:B\nx\n# tfsec:ignore:C\ny # trufflehog:ignore\n# kingfisher:ignore"
    assert counted([text]) == {"trivy": 2, "trufflehog": 1}


def test_files_that_kingfisher_does_not_search_are_counted() -> None:
    ignores = Ignores()
    for path in (b"node_modules/a", b"x/node_modules/b/c.js", b"my_node_modules/a", b"node_modules"):
        ignores.begin(path)
    assert ignores.counts == {"kingfisher": 2}


def test_a_word_does_not_go_from_one_file_to_the_next() -> None:
    assert counted([b"trivy:ig"], [b"nore"]) == {}


@given(
    st.lists(
        st.sampled_from([b"\n", b"x", b"trivy:", b"trivy:ignore", *WORDS["trufflehog"]]), max_size=30
    ).map(b"".join),
    st.lists(st.integers(0, 200), max_size=20),
)
def test_however_a_file_comes_in_pieces_its_lines_are_counted_as_if_whole(
    text: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    lines = text.split(b"\n")
    expected = {
        scanner: count
        for scanner, word in (("trivy", b"trivy:ignore"), ("trufflehog", b"trufflehog:ignore"))
        if (count := sum(word in line for line in lines))
    }
    assert counted(pieces) == expected


@pytest.mark.parametrize("failure_class", FIXES)
def test_each_class_of_failure_has_a_fix_and_says_whether_to_try_again(failure_class: str) -> None:
    failure = SnapshotError(failure_class, "Because\x1b[2J.").failure  # type: ignore[arg-type]  # its keys
    assert failure.fix
    assert failure.reason == "Because<U+001B>[2J."
    assert failure.again == (failure_class in AGAIN)
