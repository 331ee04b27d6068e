"""What is counted of a snapshot's contents: gaps against the commit's tree, and lines that hide findings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.scans.repositories import MAX_GAPS, Gap
from glovebox.snapshots.archive import Member
from glovebox.snapshots.errors import AGAIN, FIXES, SnapshotError
from glovebox.snapshots.gaps import MAX_POINTER, POINTER, Comparison
from glovebox.snapshots.ignores import WORDS, Ignores
from glovebox.snapshots.ports import Tree


def file(path: bytes, size: int = 1) -> Member:
    return Member(path=path, kind="file", size=size, mode=0o644)


def link(path: bytes) -> Member:
    return Member(path=path, kind="link", size=0, mode=0o777, target=b"/x")


def test_a_snapshot_of_the_whole_commit_has_no_gaps() -> None:
    comparison = Comparison(Tree({"a": "100644", "b": "100755", "c": "120000"}))
    for member in (file(b"a"), file(b"b"), link(b"c")):
        comparison.see(member, b"")
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
    comparison.see(file(b"a", size), head)
    assert len(comparison.finish()[0]) == gaps


@pytest.mark.parametrize("member", [file(b"b"), file(b"A"), link(b"a"), file(b"sub")])
def test_what_the_commit_does_not_have_is_refused(member: Member) -> None:
    comparison = Comparison(Tree({"a": "100644", "sub": "160000"}))
    with pytest.raises(SnapshotError) as caught:
        comparison.see(member, b"")
    assert caught.value.failure_class == "snapshot_refused"


def test_where_the_tree_is_cut_off_nobody_knows_and_that_is_told() -> None:
    comparison = Comparison(Tree({"a": "100644"}, truncated=True))
    comparison.see(file(b"b"), b"")
    assert comparison.finish() == (
        [Gap(kind="uncompared", path=""), Gap(kind="export-ignored", path="a")],
        {"uncompared": 1, "export-ignored": 1},
    )


def test_a_name_that_is_no_utf8_is_compared_as_the_host_tells_it() -> None:
    comparison = Comparison(Tree({"caf\ufffd": "100644"}))
    comparison.see(file(b"caf\xe9"), b"")
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
        ignores.begin()
        for piece in pieces:
            ignores.feed(piece)
    return {**ignores.counts}


def test_lines_are_counted_for_each_scanner_and_once_each() -> None:
    text = b"# trivy:ignore:A trivy:ignore:B\nx\n# tfsec:ignore:C\ny # trufflehog:ignore\n# kingfisher:ignore"
    assert counted([text]) == {"trivy": 2, "trufflehog": 1, "kingfisher": 1}


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
